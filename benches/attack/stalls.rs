//! What the machine takes away from programs that are busy: a figure to read the latencies by.

use std::io;
use std::thread;
use std::time::{Duration, Instant};

use super::processors::Processors;

/// How long it is watched: what a machine does every few seconds has its share, such as the
/// kernel's reclaim of memory.
const WATCHED: Duration = Duration::from_secs(10);

/// Shorter pieces are interrupts, and the work of the kernel.
const STALL_MIN: Duration = Duration::from_millis(1);

/// The larger share of the time that either processor was away for a millisecond or more, from two
/// threads that do nothing but read the clock.
///
/// # Errors
/// When a thread cannot be started or moved.
pub fn share(processors: Processors) -> io::Result<f64> {
    thread::scope(|scope| {
        let watch = |go: fn(Processors) -> nix::Result<()>| {
            thread::Builder::new()
                .spawn_scoped(scope, move || go(processors).map(|()| lost_share()))
        };
        let (server, generator) = (watch(Processors::be_server)?, watch(Processors::be_generator)?);
        let [server, generator] = [server, generator]
            .map(|thread| thread.join().map_err(|_| io::Error::other("watching panicked")));
        Ok(f64::max(server??, generator??))
    })
}

/// The share of the time in which the clock went on by itself.
fn lost_share() -> f64 {
    let began = Instant::now();
    let (mut last, mut lost) = (began, Duration::ZERO);
    while last - began < WATCHED {
        let now = Instant::now();
        if now - last >= STALL_MIN {
            lost += now - last;
        }
        last = now;
    }
    lost.as_secs_f64() / (last - began).as_secs_f64()
}

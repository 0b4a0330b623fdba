//! The share of the time that the machine takes from busy programs. It qualifies the latencies.

use std::io;
use std::thread;
use std::time::{Duration, Instant};

use super::processors::Processors;

/// The time of the measurement. It is long enough for what a machine does every few seconds, such
/// as the kernel's reclaim of memory.
const WATCHED: Duration = Duration::from_secs(10);

/// Shorter gaps are interrupts and other work of the kernel.
const STALL_MIN: Duration = Duration::from_millis(1);

/// Returns the share of the time in which a processor stalled for a millisecond or more, from two
/// threads that only read the clock. It is the greater share of the two processors.
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

/// Returns the share of the time in gaps of at least [`STALL_MIN`] between two reads of the clock.
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

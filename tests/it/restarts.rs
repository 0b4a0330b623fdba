//! A server that is killed under load and started again on the same ports, a hundred times: the
//! ports are free each time.

use crate::support::PROTOCOLS;
use crate::support::frames::{ECHO, frame};
use crate::support::peer::Peer;
use crate::support::server::{Server, program};
use crate::support::wait::wait_until;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

const ROUNDS: usize = 100;

/// Clients of one protocol. Each sends requests and checks the answers, and connects again when its
/// connection ends.
struct Crowd {
    answered: Vec<Arc<AtomicU64>>,
    /// Dropped at the end of the test, which ends the clients.
    going_on: Arc<()>,
    threads: Vec<JoinHandle<()>>,
}

impl Crowd {
    fn start(addresses: &[(&'static str, SocketAddr)]) -> Self {
        let going_on = Arc::new(());
        let (mut answered, mut threads) = (Vec::new(), Vec::new());
        for (protocol, address) in addresses.iter().copied() {
            let (count, over) = (Arc::new(AtomicU64::new(0)), Arc::downgrade(&going_on));
            answered.push(Arc::clone(&count));
            threads.push(thread::spawn(move || {
                while over.strong_count() > 0 {
                    ask_until_cut_off(protocol, address, &count);
                }
            }));
        }
        Self { answered, going_on, threads }
    }

    /// Returns when every client has had an answer after this moment.
    fn wait_for_answers(&self) {
        let before: Vec<u64> =
            self.answered.iter().map(|count| count.load(Ordering::Relaxed)).collect();
        wait_until("every client is answered", || {
            self.answered
                .iter()
                .zip(&before)
                .all(|(count, before)| count.load(Ordering::Relaxed) > *before)
        });
    }

    /// Ends the clients. Fails if any of them had a wrong answer.
    fn stop(self) {
        drop(self.going_on);
        for thread in self.threads {
            thread.join().expect("a client that had right answers only");
        }
    }
}

/// Sends requests until the connection ends. The received bytes must be right up to that point.
fn ask_until_cut_off(protocol: &str, address: SocketAddr, answered: &AtomicU64) {
    let Some(mut peer) = Peer::try_connect(address) else {
        // There is no listener between two servers. A retry without a pause would take the
        // processor from the next server.
        return thread::sleep(Duration::from_millis(1));
    };
    let (request, answer): (Vec<u8>, Vec<u8>) = match protocol {
        "text" => (b"ECHO on and on\n".repeat(20), b"ECHO on and on\n".repeat(20)),
        "binary" => (frame(ECHO, "on and on").repeat(20), frame(ECHO, "on and on").repeat(20)),
        "echo" => (b"on and on\n".repeat(20), b"Server received: on and on\n".repeat(20)),
        _ => (b"on and on\n".repeat(20), b"ACK: Received 'on and on'\n".repeat(20)),
    };
    let mut expected =
        if protocol == "text" { crate::support::BANNER.to_vec() } else { Vec::new() };
    loop {
        expected.extend_from_slice(&answer);
        if !peer.try_send(&request) || !peer.try_expect(&expected) {
            return;
        }
        expected.clear();
        answered.fetch_add(1, Ordering::Relaxed);
    }
}

/// Returns a loopback address that no other program uses. On the usual address, a port that is free
/// for a moment may become the port of an outgoing connection, even of a client of this test, which
/// would then be connected to itself.
fn own_loopback() -> Ipv4Addr {
    let [.., high, low] = std::process::id().to_be_bytes();
    Ipv4Addr::new(127, 77, high, low)
}

/// Starts a server on ports that are used again. It must have them at once, whatever is left of the
/// earlier connections.
fn start_on(addresses: &[(&'static str, SocketAddr)]) -> (Server, Duration) {
    let mut command: Command = program();
    for (protocol, address) in addresses {
        command.args(["--listen", &format!("{protocol}://{address}")]);
    }
    command.arg("-q");
    let started = Instant::now();
    (Server::launch(command), started.elapsed())
}

#[test]
fn a_server_killed_under_load_has_its_ports_again_at_once() {
    let own = SocketAddr::from((own_loopback(), 0));
    let (mut server, _) = start_on(&PROTOCOLS.map(|protocol| (protocol, own)));
    let addresses = PROTOCOLS.map(|protocol| (protocol, server.address(protocol)));
    let crowd = Crowd::start(&addresses);
    let mut longest = Duration::ZERO;
    for _ in 0..ROUNDS {
        crowd.wait_for_answers();
        server.process().signal("KILL");
        server.wait_for_exit();
        let (next, duration) = start_on(&addresses);
        longest = longest.max(duration);
        server = next;
    }
    crowd.wait_for_answers();
    server.process().signal("KILL");
    server.wait_for_exit();
    crowd.stop();
    // The time is printed for readers, and not checked, because it depends on the machine.
    println!(
        "{ROUNDS} rounds: at most {longest:?} from starting the program to its listening lines"
    );
}

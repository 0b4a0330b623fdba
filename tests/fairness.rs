//! One thread serves all: whoever floods it must not keep the others waiting.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;
use support::frames::{ECHO, frame};
use support::peer::Peer;
use support::server::Server;

/// Peers that send the same bytes as fast as they can, and read whatever comes.
struct Flood {
    over: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Flood {
    fn start(server: &Server, protocol: &str, bytes: &[u8]) -> Self {
        const PEERS: usize = 2;
        let over = Arc::new(AtomicBool::new(false));
        let mut threads = Vec::new();
        for _ in 0..PEERS {
            let (mut sender, reader) = twins(server.connect(protocol));
            // A flood may get no answers at all, and it lasts as long as the polite peers need.
            reader.set_patience(Duration::from_secs(600));
            let (bytes, over) = (bytes.repeat(1 + 65_536 / bytes.len()), Arc::clone(&over));
            threads.push(thread::spawn(move || {
                while !over.load(Ordering::Relaxed) {
                    sender.send(&bytes);
                }
                sender.half_close();
            }));
            threads.push(thread::spawn(move || read_all(reader)));
        }
        Self { over, threads }
    }

    /// Ends the flood; its peers must have been served to the end as well.
    fn stop(self) {
        self.over.store(true, Ordering::Relaxed);
        for thread in self.threads {
            thread.join().expect("a flooding peer is served too");
        }
    }
}

fn twins(peer: Peer) -> (Peer, Peer) {
    (peer.twin(), peer)
}

fn read_all(mut peer: Peer) {
    while !peer.read_some(1 << 20).is_empty() {}
}

/// Ten round trips of fifty polite peers, each answered within the patience.
fn check_polite_peers(server: &Server) {
    let mut polite: Vec<Peer> = (0..50).map(|_| server.text()).collect();
    for round in 0..10 {
        polite.iter_mut().for_each(|peer| peer.send(format!("ECHO {round}\n")));
        polite.iter_mut().for_each(|peer| peer.expect(format!("ECHO {round}\n")));
    }
}

/// Polite peers beside two that send the same as fast as they can.
fn check_polite_peers_beside(protocol: &str, flood: &[u8]) {
    let server = Server::start(&["--activity-log", "1"]);
    let flood = Flood::start(&server, protocol, flood);
    check_polite_peers(&server);
    // Somebody who comes now is served as well.
    server.text().send("QUIT\n");
    flood.stop();
}

#[test]
fn a_flood_of_lines_leaves_room_for_polite_peers() {
    check_polite_peers_beside("text", b"ECHO flood\n");
}

#[test]
fn a_flood_of_empty_lines_leaves_room_for_polite_peers() {
    check_polite_peers_beside("text", b"\n");
}

#[test]
fn a_flood_of_frames_leaves_room_for_polite_peers() {
    check_polite_peers_beside("binary", &frame(ECHO, "flood"));
}

#[test]
fn a_flood_of_empty_frames_leaves_room_for_polite_peers() {
    check_polite_peers_beside("binary", &frame(ECHO, ""));
}

#[test]
fn a_line_that_never_ends_leaves_room_for_polite_peers() {
    check_polite_peers_beside("echo", b"AAAAAAAAAAAAAAAA");
}

#[test]
fn a_flood_of_connections_leaves_room_for_polite_peers() {
    let server = Server::start(&["--activity-log", "1"]);
    let address = server.address("echo");
    let (over, opened) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let flood = [(); 2].map(|()| {
        let (over, opened) = (Arc::clone(&over), Arc::clone(&opened));
        thread::spawn(move || {
            while !over.load(Ordering::Relaxed) {
                // A reset leaves nothing behind in either kernel that would slow the flood down.
                Peer::connect(address).reset();
                opened.fetch_add(1, Ordering::Relaxed);
            }
        })
    });
    (0..10).for_each(|_| check_polite_peers(&server));
    assert!(opened.load(Ordering::Relaxed) > 0, "that was no flood");
    over.store(true, Ordering::Relaxed);
    flood.into_iter().for_each(|thread| thread.join().expect("everybody can connect"));
}

#[test]
fn many_peers_at_once_are_all_served() {
    let server = Server::start(&[]);
    let mut peers: Vec<Peer> = (0..1000).map(|_| server.connect("echo")).collect();
    for round in 0..3 {
        for (index, peer) in peers.iter_mut().enumerate() {
            peer.send(format!("{round} {index}\n"));
        }
        for (index, peer) in peers.iter_mut().enumerate() {
            peer.expect(format!("Server received: {round} {index}\n"));
        }
    }
}

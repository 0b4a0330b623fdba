//! More ready connections than one wait for events reports: all are served equally often.

use crate::support::open_files::OpenFiles;
use crate::support::server::Server;
use crate::support::wait::{PATIENCE, uninterrupted};
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use std::io::{ErrorKind, Read, Write};

/// Three times the number of events that the server fetches in one wait.
const PEERS: usize = 3000;

/// The average number of answers of a peer at the end of the test.
const ROUNDS: usize = 20;

const REQUEST: &[u8] = b"round\n";
const ANSWER: &[u8] = b"Server received: round\n";

/// A peer that sends a request after each answer.
struct Asking {
    stream: TcpStream,
    received_bytes: usize,
}

impl Asking {
    fn answers(&self) -> usize {
        self.received_bytes / ANSWER.len()
    }

    /// Reads what has arrived and returns the number of whole answers. It sends a request for each.
    fn read(&mut self) -> usize {
        let before = self.answers();
        let mut buf = [0; 256];
        loop {
            match self.stream.read(&mut buf) {
                Ok(len @ 1..) => self.received_bytes += len,
                Ok(_) => panic!("the server closed"),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => panic!("{error}"),
            }
        }
        let answered = self.answers() - before;
        (0..answered).for_each(|_| self.ask());
        answered
    }

    fn ask(&mut self) {
        // These few bytes always fit into the send buffer.
        self.stream.write_all(REQUEST).expect("send");
    }
}

#[test]
fn three_thousand_busy_peers_are_served_equally_often() {
    let _open_files = OpenFiles::take(PEERS);
    let server = Server::start(&["--activity-log", "1"]);
    let mut poll = Poll::new().expect("a poller");
    let address = server.address("echo");
    let mut peers: Vec<Asking> = (0..PEERS)
        .map(|index| {
            let stream = std::net::TcpStream::connect(address).expect("connect");
            stream.set_nonblocking(true).expect("do not block");
            let mut stream = TcpStream::from_std(stream);
            poll.registry()
                .register(&mut stream, Token(index), Interest::READABLE)
                .expect("register");
            Asking { stream, received_bytes: 0 }
        })
        .collect();
    // All of them send before any is answered, so that all are ready at once.
    server.freeze();
    peers.iter_mut().for_each(Asking::ask);
    server.thaw();
    let (mut events, mut answered) = (Events::with_capacity(PEERS), 0);
    while answered < PEERS * ROUNDS {
        uninterrupted(|| poll.poll(&mut events, Some(PATIENCE))).expect("wait");
        assert!(!events.is_empty(), "no answer in {PATIENCE:?}, after {answered} answers");
        answered += events.iter().map(|event| peers[event.token().0].read()).sum::<usize>();
    }
    let least = peers.iter().map(Asking::answers).min().unwrap_or_default();
    let most = peers.iter().map(Asking::answers).max().unwrap_or_default();
    assert!(most < 3 * least, "one peer has {least} answers when another has {most}");
}

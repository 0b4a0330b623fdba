//! More connections at work than one look at the kernel shows: each has its turn as often as any
//! other.

use crate::support::open_files::OpenFiles;
use crate::support::server::Server;
use crate::support::wait::PATIENCE;
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use std::io::{ErrorKind, Read, Write};

/// Three times as many as the server fetches events of in one wait.
const PEERS: usize = 3000;

/// How many answers each peer has on average when the test is over.
const ROUNDS: usize = 20;

const REQUEST: &[u8] = b"round\n";
const ANSWER: &[u8] = b"Server received: round\n";

/// A peer that asks again as soon as it is answered.
struct Asking {
    stream: TcpStream,
    received_bytes: usize,
}

impl Asking {
    fn answers(&self) -> usize {
        self.received_bytes / ANSWER.len()
    }

    /// Takes what has come; gives how many answers became whole, for each of which it asks again.
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
        // A few bytes always fit.
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
    // All of them ask before any is answered, so that all of them are ready at once.
    server.freeze();
    peers.iter_mut().for_each(Asking::ask);
    server.thaw();
    let (mut events, mut answered) = (Events::with_capacity(PEERS), 0);
    while answered < PEERS * ROUNDS {
        poll.poll(&mut events, Some(PATIENCE)).expect("wait");
        assert!(!events.is_empty(), "no answer in {PATIENCE:?}, behind {answered} of them");
        answered += events.iter().map(|event| peers[event.token().0].read()).sum::<usize>();
    }
    let least = peers.iter().map(Asking::answers).min().unwrap_or_default();
    let most = peers.iter().map(Asking::answers).max().unwrap_or_default();
    assert!(most < 3 * least, "one peer has {least} answers when another has {most}");
}

//! A comparison of the simulated kernel with the real one: equal calls must have equal results.
//!
//! Each fact on which the server relies is a test. Then random scripts run on both. They do not
//! fill the buffers, because the sizes of the real ones are not specified.

use std::fmt::Debug;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

use socket2::SockRef;
use tinytcp_core::os::kernel::Kernel;
use tinytcp_core::os::listen::{Listener, listen};
use tinytcp_core::os::stream::Stream;
use tinytcp_core::os::system::{Event, Readiness, Socket, System};
use tinytcp_core::os::table::Token;

use super::simulator::Choices;
use super::simulator::channel::{Channel, End, Refusal, Sizes};

/// The longest wait for an expected event, even on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);
/// The wait for an event that is not expected.
const SILENCE: Duration = Duration::from_millis(3);

/// Both kernels with one connection each, which get the same calls.
struct Both {
    model: Channel,
    kernel: Kernel,
    /// The server's end of the real connection.
    server: Option<Stream>,
    peer: TcpStream,
}

impl Both {
    /// Creates an accepted connection; the event of its registration is consumed.
    fn new() -> Self {
        let mut both = Self::unaccepted();
        both.accept();
        assert_eq!(both.events(), Some(Readiness { writable: true, ..Readiness::default() }));
        both
    }

    /// Creates a connection in the accept queue.
    fn unaccepted() -> Self {
        let (listener, _) =
            listen(([127, 0, 0, 1], 0).into(), 16, None, false).expect("a free port");
        let addr = listener.local_addr().expect("bound");
        let kernel = Kernel::new(vec![Listener::Tcp(listener)]).expect("a poller");
        let peer = TcpStream::connect(addr).expect("a listener");
        peer.set_nonblocking(true).expect("a socket");
        peer.set_nodelay(true).expect("a socket");
        let model = Channel::new(Sizes { receive_max: 1 << 30, send_max: 4 << 20 });
        Self { model, kernel, server: None, peer }
    }

    fn accept(&mut self) {
        let (mut server, _) = patiently(|| self.kernel.accept(0));
        self.kernel.register(&mut server, Token::from_usize(7)).expect("a watch");
        self.server = Some(server);
        self.model.register();
    }

    fn server(&mut self) -> &mut Stream {
        self.server.as_mut().expect("accepted")
    }

    /// Returns the events since the last call, combined into one.
    fn events(&mut self) -> Option<Readiness> {
        let foreseen = self.model.take_edge();
        let mut seen: Option<Readiness> = None;
        let began = Instant::now();
        while began.elapsed() < if seen == foreseen { SILENCE } else { PATIENCE } {
            let handle = |event| {
                if let Event::Connection(_, readiness) = event {
                    seen = Some(seen.map_or(readiness, |seen| either(seen, readiness)));
                }
            };
            self.kernel.wait(Some(SILENCE), handle).expect("a poller");
            if foreseen.is_none() && seen.is_some() {
                break;
            }
        }
        assert_eq!(seen, foreseen, "the real kernel's events, and the model's");
        seen
    }

    fn push(&mut self, bytes: &[u8]) {
        assert_eq!(self.model.push(bytes), bytes.len());
        // On a broken connection this fails, without further effect.
        let _ = self.peer.write_all(bytes);
    }

    fn end(&mut self) {
        self.model.end();
        let _ = self.peer.shutdown(Shutdown::Write);
    }

    fn reset(&mut self) {
        self.model.fail(libc::ECONNRESET);
        self.model.peer_close();
        SockRef::from(&self.peer).set_linger(Some(Duration::ZERO)).expect("a socket");
        self.replace_peer();
    }

    fn peer_close(&mut self) {
        self.model.peer_close();
        self.replace_peer();
    }

    /// Closes the peer's socket and replaces it by an unrelated one.
    fn replace_peer(&mut self) {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        self.peer = TcpStream::connect(listener.local_addr().expect("bound")).expect("a listener");
    }

    /// Lets the peer read what was sent.
    fn take(&mut self, len: usize) -> usize {
        let foreseen = self.model.take(len);
        let mut taken = vec![0; foreseen.len()];
        let (mut place, began) = (0, Instant::now());
        while place < taken.len() {
            assert!(began.elapsed() < PATIENCE, "the peer gets {place} bytes of {}", taken.len());
            match self.peer.read(&mut taken[place..]) {
                Ok(count) => place += count,
                Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock, "the peer reads"),
            }
        }
        assert!(taken == foreseen, "what the peer takes");
        taken.len()
    }

    fn receive(&mut self, len: usize) -> Result<Vec<u8>, Refusal> {
        let foreseen = self.model.receive(len);
        let mut buf = vec![0; len];
        let seen =
            self.server().receive(&mut buf).map(|count| buf[..count].to_vec()).map_err(refusal);
        same(seen, foreseen)
    }

    fn send(&mut self, bytes: &[u8]) -> Result<usize, Refusal> {
        let foreseen = self.model.send(bytes, usize::MAX);
        let seen = self.server().send(bytes).map_err(refusal);
        same(seen, foreseen)
    }

    fn shutdown_write(&mut self) {
        let _ = self.model.shutdown_write();
        let _ = self.server().shutdown_write();
    }

    /// Drops the server's socket.
    fn close(&mut self) {
        self.model.close(false);
        self.server = None;
    }

    /// How the peer's input ends after the bytes that it has read.
    fn end_seen_by_peer(&mut self) -> End {
        let foreseen = self.model.end_seen_by_peer();
        let mut lost = [0; 65_536];
        let began = Instant::now();
        let seen = loop {
            match self.peer.read(&mut lost) {
                Ok(0) => break End::Orderly,
                Err(error) if error.kind() == ErrorKind::ConnectionReset => break End::Reset,
                Err(_) if foreseen == End::NotYet => break End::NotYet,
                // Bytes that arrived before a reset can still be read; the model drops them, as a
                // slower network would.
                Ok(_) | Err(_) => {
                    assert!(began.elapsed() < PATIENCE, "the end of the peer's input")
                }
            }
        };
        assert_eq!(seen, foreseen, "the end of the peer's input");
        seen
    }
}

fn either(one: Readiness, other: Readiness) -> Readiness {
    Readiness {
        readable: one.readable || other.readable,
        writable: one.writable || other.writable,
        read_to_end: one.read_to_end || other.read_to_end,
    }
}

fn same<T: PartialEq + Debug>(seen: T, foreseen: T) -> T {
    assert_eq!(seen, foreseen, "the real kernel's result, and the model's");
    seen
}

fn refusal(error: io::Error) -> Refusal {
    match error.raw_os_error() {
        _ if error.kind() == ErrorKind::WouldBlock => Refusal::WouldBlock,
        Some(errno) => Refusal::Errno(errno),
        None => panic!("{error}"),
    }
}

fn patiently<T>(mut call: impl FnMut() -> io::Result<T>) -> T {
    let began = Instant::now();
    loop {
        match call() {
            Ok(value) => return value,
            Err(error) => assert!(began.elapsed() < PATIENCE, "{error}"),
        }
    }
}

const NEWS: Readiness = Readiness { readable: true, writable: true, read_to_end: false };
const THE_END: Readiness = Readiness { readable: true, writable: true, read_to_end: true };

#[test]
fn unread_bytes_cause_no_event_until_more_bytes_arrive() {
    let mut both = Both::new();
    both.push(b"hello");
    assert_eq!(both.events(), Some(NEWS));
    assert_eq!(both.receive(2), Ok(b"he".to_vec()));
    assert_eq!(both.events(), None);
    both.push(b"!");
    assert_eq!(both.events(), Some(NEWS));
    assert_eq!(both.receive(100), Ok(b"llo!".to_vec()));
}

#[test]
fn an_end_that_comes_with_the_last_bytes_causes_no_event() {
    let mut both = Both::new();
    both.push(b"hello");
    both.end();
    assert_eq!(both.events(), Some(THE_END));
    assert_eq!(both.receive(100), Ok(b"hello".to_vec()));
    assert_eq!(both.events(), None);
    assert_eq!(both.receive(100), Ok(Vec::new()));
}

#[test]
fn answers_that_are_read_cause_no_event() {
    let mut both = Both::new();
    for _ in 0..1000 {
        assert_eq!(both.send(b"answer"), Ok(6));
        assert_eq!(both.take(100), 6);
    }
    assert_eq!(both.events(), None);
}

#[test]
fn a_full_buffer_that_empties_causes_one_event() {
    let mut both = Both::new();
    let block = vec![b'x'; 1 << 20];
    let (mut sent, mut has_room) = (0, true);
    // The kernel moves bytes to the peer's buffer, which makes room once more.
    while std::mem::take(&mut has_room) {
        while let Ok(count) = both.server().send(&block) {
            sent += count;
            assert!(sent < 100 << 20, "it takes everything");
        }
        both.kernel.wait(Some(10 * SILENCE), |_| has_room = true).expect("a poller");
    }
    while both.model.send(&block, usize::MAX).is_ok() {}
    assert_eq!(both.events(), None);
    both.model.take(usize::MAX);
    let (mut taken, mut place) = (0, vec![0; 1 << 20]);
    while taken < sent {
        taken += patiently(|| both.peer.read(&mut place));
    }
    assert_eq!(both.events(), Some(Readiness { writable: true, ..Readiness::default() }));
    assert_eq!(both.events(), None);
}

#[test]
fn closing_with_unread_input_is_a_reset_that_destroys_answers() {
    let mut both = Both::new();
    both.push(b"more");
    both.events();
    assert_eq!(both.send(&vec![b'x'; 200_000]), Ok(200_000));
    both.close();
    assert_eq!(both.end_seen_by_peer(), End::Reset);
}

#[test]
fn a_shutdown_and_reads_to_the_end_before_a_close_lose_nothing() {
    let mut both = Both::new();
    both.push(b"more");
    both.events();
    assert_eq!(both.send(&vec![b'x'; 200_000]), Ok(200_000));
    both.shutdown_write();
    assert_eq!(both.receive(100), Ok(b"more".to_vec()));
    both.end();
    both.events();
    assert_eq!(both.receive(100), Ok(Vec::new()));
    both.close();
    assert_eq!(both.take(usize::MAX), 200_000);
    assert_eq!(both.end_seen_by_peer(), End::Orderly);
}

#[test]
fn a_connection_that_was_reset_before_accept_fails_at_a_read() {
    let mut both = Both::unaccepted();
    both.reset();
    both.accept();
    both.events();
    assert_eq!(both.receive(100), Err(Refusal::Errno(libc::ECONNRESET)));
}

#[test]
fn after_a_reset_reads_return_bytes_then_the_error_then_the_end() {
    let mut both = Both::new();
    both.push(b"hello");
    both.reset();
    assert_eq!(both.events(), Some(THE_END));
    assert_eq!(both.receive(100), Ok(b"hello".to_vec()));
    assert_eq!(both.receive(100), Err(Refusal::Errno(libc::ECONNRESET)));
    assert_eq!(both.receive(100), Ok(Vec::new()));
    assert_eq!(both.send(b"x"), Err(Refusal::Errno(libc::EPIPE)));
}

#[test]
fn one_write_to_a_closed_peer_succeeds_and_the_next_one_fails() {
    let mut both = Both::new();
    both.peer_close();
    assert_eq!(both.events(), Some(THE_END));
    assert_eq!(both.send(b"x"), Ok(1));
    both.events();
    assert_eq!(both.send(b"x"), Err(Refusal::Errno(libc::EPIPE)));
}

/// Runs a random script on both kernels, and compares each result and each event.
fn play(seed: u64) {
    let mut choices = Choices::of_seed(seed);
    let mut both = Both::new();
    let mut has_ended = false;
    for _ in 0..4 + choices.below(10) {
        let bytes = vec![b'a' + choices.below(26) as u8; 1 + choices.below(50)];
        match choices.below(8) {
            0 | 1 if !has_ended => both.push(&bytes),
            2 if !has_ended && choices.chance(300) => {
                both.end();
                has_ended = true;
            }
            3 | 4 => drop(both.receive(1 + choices.below(60))),
            5 => drop(both.send(&bytes)),
            6 => drop(both.take(choices.below(60))),
            _ => drop(both.events()),
        }
        // All sent bytes must arrive before the next act.
        both.events();
    }
    both.close();
    both.take(usize::MAX);
    both.end_seen_by_peer();
}

#[test]
fn random_scripts_have_equal_results_on_both_kernels() {
    for seed in 0..100 {
        println!("seed {seed}");
        play(seed);
    }
}

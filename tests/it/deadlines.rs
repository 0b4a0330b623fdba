//! Deadlines in real time, with small values. The unit tests, which have a simulated clock, check
//! that deadlines are exact.

use crate::support::PROTOCOLS;
use crate::support::frames::{ECHO, error, frame, header};
use crate::support::peer::Peer;
use crate::support::server::Server;
use crate::support::wait::{PATIENCE, undisturbed};
use std::thread;
use std::time::{Duration, Instant};

/// Opens a connection and reads its banner.
fn greeted(server: &Server, protocol: &str) -> Peer {
    match protocol {
        "text" => server.text(),
        _ => server.connect(protocol),
    }
}

/// Returns the error that a protocol sends before it closes.
fn farewell(protocol: &str, token: &str) -> Vec<u8> {
    match protocol {
        "binary" => error(token),
        _ => format!("ERROR {token}\n").into_bytes(),
    }
}

/// Returns the first bytes of a message that never ends.
fn begun(protocol: &str) -> Vec<u8> {
    match protocol {
        "binary" => header(ECHO, 1000),
        _ => b"never end".to_vec(),
    }
}

#[test]
fn a_silent_peer_is_closed_after_the_idle_timeout() {
    let server = Server::start(&["--idle-timeout", "300ms"]);
    for protocol in PROTOCOLS {
        let started = Instant::now();
        let mut peer = greeted(&server, protocol);
        assert_eq!(peer.read_to_end(), farewell(protocol, "IDLE_TIMEOUT"), "{protocol}");
        assert!(
            started.elapsed() >= Duration::from_millis(300),
            "{protocol} after {:?}",
            started.elapsed()
        );
    }
}

#[test]
fn a_peer_that_falls_silent_is_closed_after_the_idle_timeout() {
    const TIMEOUT: Duration = Duration::from_millis(300);
    let server = Server::start(&["--idle-timeout", "300ms"]);
    undisturbed(|| {
        let began = Instant::now();
        let mut peer = server.text();
        let sent_at = Instant::now();
        peer.try_send(b"ECHO once\n");
        if began.elapsed() >= TIMEOUT {
            // The timeout may have passed before the request.
            return None;
        }
        peer.expect("ECHO once\nERROR IDLE_TIMEOUT\n");
        peer.expect_eof();
        assert!(sent_at.elapsed() >= TIMEOUT, "after {:?}", sent_at.elapsed());
        Some(())
    });
}

/// The timeout of the tests in which a peer sends before it passes.
const TIMEOUT: Duration = Duration::from_secs(1);

/// Calls `ask`, which sends a request with the answer `answer`, and checks the answer, as long as
/// `goes_on` returns true. The peer has connected after `began`. Returns `None` if the connection
/// has ended because the machine has paused this test for longer than the timeout.
fn talk(
    peer: &mut Peer,
    began: Instant,
    answer: &[u8],
    ask: impl Fn(&mut Peer),
    mut goes_on: impl FnMut() -> bool,
) -> Option<()> {
    let mut asked_at = began;
    while goes_on() {
        let asked_before = std::mem::replace(&mut asked_at, Instant::now());
        ask(peer);
        if peer.read_until_ended(answer.len()) != answer {
            let pause = asked_before.elapsed();
            assert!(pause >= TIMEOUT, "closed {pause:?} after it has begun a request");
            return None;
        }
    }
    Some(())
}

/// Checks that a peer is answered each time it calls `ask`, for twice the timeout. `ask` sends a
/// request in pieces, with pauses of a tenth of the timeout.
fn check_goes_on(flag: &str, ask: impl Fn(&mut Peer)) {
    let server = Server::start(&[flag, "1s"]);
    undisturbed(|| {
        let began = Instant::now();
        let mut peer = server.text();
        talk(&mut peer, began, b"ECHO on\n", &ask, || began.elapsed() < 2 * TIMEOUT)
    });
}

#[test]
fn a_peer_that_goes_on_talking_is_not_idle() {
    check_goes_on("--idle-timeout", |peer| {
        thread::sleep(TIMEOUT / 10);
        peer.try_send(b"ECHO on\n");
    });
}

#[test]
fn without_a_timeout_no_peer_is_closed() {
    let start = |timeout| Server::start(&["--idle-timeout", timeout, "--message-timeout", timeout]);
    let [server, other] = ["off", "300ms"].map(start);
    let [mut idle, mut half] = [server.text(), server.text()];
    half.send("ECHO st");
    // The timeouts of the other server pass.
    assert_eq!(other.text().read_to_end(), b"ERROR IDLE_TIMEOUT\n");
    half.send("ill here\n");
    half.expect("ECHO still here\n");
    idle.send("ECHO here too\n");
    idle.expect("ECHO here too\n");
}

#[test]
fn an_endless_message_is_closed_after_the_message_timeout() {
    let server = Server::start(&["--message-timeout", "300ms", "--quiet-period", "1h"]);
    for protocol in PROTOCOLS {
        let mut peer = greeted(&server, protocol);
        let started = Instant::now();
        peer.send(begun(protocol));
        assert_eq!(peer.read_to_end(), farewell(protocol, "MESSAGE_TIMEOUT"), "{protocol}");
        assert!(
            started.elapsed() >= Duration::from_millis(300),
            "{protocol} after {:?}",
            started.elapsed()
        );
    }
}

#[test]
fn more_bytes_do_not_extend_the_message_timeout() {
    let server = Server::start(&["--message-timeout", "1s", "--quiet-period", "1h"]);
    let mut peers = PROTOCOLS.map(|protocol| greeted(&server, protocol));
    for (peer, protocol) in peers.iter_mut().zip(PROTOCOLS) {
        peer.send(begun(protocol));
    }
    let mut dripping: Vec<Peer> = peers.iter().map(Peer::twin).collect();
    // The drip ends after a hundred seconds, if the server lets bytes extend the deadline.
    let drip = thread::spawn(move || {
        for _ in 0..1000 {
            thread::sleep(Duration::from_millis(100));
            dripping.retain_mut(|peer| peer.try_send(b"x"));
            if dripping.is_empty() {
                break;
            }
        }
    });
    for (mut peer, protocol) in peers.into_iter().zip(PROTOCOLS) {
        assert_eq!(peer.read_to_end(), farewell(protocol, "MESSAGE_TIMEOUT"), "{protocol}");
    }
    drip.join().expect("the drip ends with the connections");
}

#[test]
fn the_message_timeout_begins_anew_with_each_message() {
    check_goes_on("--message-timeout", |peer| {
        peer.try_send(b"ECHO o");
        thread::sleep(TIMEOUT / 10);
        peer.try_send(b"n\n");
    });
}

#[test]
fn an_oversize_message_that_does_not_end_is_timed_out_as_well() {
    let server = Server::start(&["--message-timeout", "300ms", "--max-frame", "16"]);
    let mut peer = server.connect("binary");
    peer.send([&header(ECHO, 1000)[..], b"only a part"].concat());
    peer.expect(error("FRAME_TOO_LARGE"));
    peer.expect(error("MESSAGE_TIMEOUT"));
    peer.expect_eof();
}

#[test]
fn an_idle_peer_leaves_the_others_alone() {
    let server = Server::start(&["--idle-timeout", "1s"]);
    let answer = frame(ECHO, "busy");
    let ask = |peer: &mut Peer| {
        thread::sleep(TIMEOUT / 10);
        peer.try_send(&frame(ECHO, "busy"));
    };
    undisturbed(|| {
        let began = Instant::now();
        let mut busy = server.connect("binary");
        let mut idle = server.text();
        talk(&mut busy, began, &answer, ask, || {
            assert!(began.elapsed() < PATIENCE, "the idle peer is not closed");
            !idle.has_bytes()
        })?;
        assert_eq!(idle.read_to_end(), b"ERROR IDLE_TIMEOUT\n");
        let mut rounds = 0..5;
        talk(&mut busy, Instant::now(), &answer, ask, || rounds.next().is_some())
    });
}

/// Stops the server until a deadline of a peer has passed, and calls `speak` in that time. Returns
/// `None` if the deadline, which was set after `began`, may have passed before.
fn oversleep(server: &Server, began: Instant, speak: impl FnOnce()) -> Option<()> {
    server.freeze();
    let is_in_time = began.elapsed() < TIMEOUT;
    if is_in_time {
        speak();
        thread::sleep(2 * TIMEOUT);
    }
    server.thaw();
    is_in_time.then_some(())
}

#[test]
fn a_server_that_overslept_reads_before_it_calls_a_peer_idle() {
    let server = Server::start(&["--idle-timeout", "1s"]);
    undisturbed(|| {
        let began = Instant::now();
        let mut peer = server.text();
        oversleep(&server, began, || peer.send("ECHO in time\n"))?;
        peer.expect("ECHO in time\n");
        Some(())
    });
}

#[test]
fn a_server_that_overslept_reads_before_it_times_out_a_message() {
    let server = Server::start(&["--message-timeout", "1s"]);
    undisturbed(|| {
        let mut peer = server.text();
        let began = Instant::now();
        peer.send("ECHO in ");
        oversleep(&server, began, || peer.send("time\n"))?;
        peer.expect("ECHO in time\n");
        Some(())
    });
}

#[test]
fn a_server_that_overslept_writes_before_it_times_out_a_reader() {
    let server = Server::start(&["--write-timeout", "1s"]);
    let answer = frame(ECHO, vec![b'x'; 8 << 20]);
    let (last, others) = answer.split_last().expect("a frame");
    undisturbed(|| {
        let mut peer = server.connect_with_small_window("binary");
        peer.send(others);
        let began = Instant::now();
        peer.send([*last]);
        peer.expect(&answer[..1]);
        // Half of the bytes that the kernel has taken by then.
        oversleep(&server, began, || peer.expect(&answer[1..128 << 10]))?;
        peer.expect(&answer[128 << 10..]);
        Some(())
    });
}

//! Deadlines in real time, with small values. The unit tests, which have a simulated clock, check
//! that deadlines are exact.

use crate::support::PROTOCOLS;
use crate::support::frames::{ECHO, error, frame, header};
use crate::support::peer::Peer;
use crate::support::server::Server;
use crate::support::wait::undisturbed;
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
    let server = Server::start(&["--idle-timeout", "300ms"]);
    let mut peer = server.text();
    let sent_at = Instant::now();
    peer.send("ECHO once\n");
    peer.expect("ECHO once\nERROR IDLE_TIMEOUT\n");
    peer.expect_eof();
    assert!(sent_at.elapsed() >= Duration::from_millis(300), "after {:?}", sent_at.elapsed());
}

/// The timeout of the tests in which a peer sends before it passes.
const TIMEOUT: Duration = Duration::from_secs(1);

/// Checks that a peer is answered each time it calls `ask`, for twice the timeout. `ask` sends a
/// request in pieces, with pauses of a tenth of the timeout.
fn check_goes_on(flag: &str, ask: impl Fn(&mut Peer)) {
    let server = Server::start(&[flag, "1s"]);
    undisturbed(|| {
        let (began, mut asked_at) = (Instant::now(), Instant::now());
        let mut peer = server.text();
        while began.elapsed() < 2 * TIMEOUT {
            let asked_before = std::mem::replace(&mut asked_at, Instant::now());
            ask(&mut peer);
            if peer.read_until_ended(b"ECHO on\n".len()) != b"ECHO on\n" {
                // The timeout can only have passed if the machine has paused this test.
                let pause = asked_before.elapsed();
                assert!(pause >= TIMEOUT, "closed {pause:?} after it has begun a request");
                return None;
            }
        }
        Some(())
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
    let server = Server::start(&["--idle-timeout", "off", "--message-timeout", "off"]);
    let mut peer = server.text();
    peer.send("ECHO st");
    thread::sleep(Duration::from_millis(500));
    peer.send("ill here\n");
    peer.expect("ECHO still here\n");
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
    peer.send(header(ECHO, 1000));
    peer.expect(error("FRAME_TOO_LARGE"));
    peer.send("only a part");
    peer.expect(error("MESSAGE_TIMEOUT"));
    peer.expect_eof();
}

#[test]
fn an_idle_peer_leaves_the_others_alone() {
    let server = Server::start(&["--idle-timeout", "1s"]);
    let mut idle = server.text();
    let mut busy = server.connect("binary");
    while !idle.has_bytes() {
        busy.send(frame(ECHO, "busy"));
        busy.expect(frame(ECHO, "busy"));
    }
    assert_eq!(idle.read_to_end(), b"ERROR IDLE_TIMEOUT\n");
    busy.send(frame(ECHO, "still"));
    busy.expect(frame(ECHO, "still"));
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

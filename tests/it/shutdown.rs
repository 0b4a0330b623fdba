//! Signals: everything that has arrived is answered, then all connections are closed and the
//! process exits with 0.

use crate::support::frames::{ECHO, frame};
use crate::support::open_files::OpenFiles;
use crate::support::peer::Peer;
use crate::support::server::{SECOND_REQUEST_AFTER, Server, listen_flags, program_under};
use crate::support::wait::{undisturbed, wait_until};
use crate::support::{KIB, PROTOCOLS};
use std::io::ErrorKind;
use std::net::TcpStream;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::{Duration, Instant};

/// Returns a peer whose unread answers fill the server, so that a shutdown has to wait for it.
fn stuck_peer(server: &Server) -> Peer {
    let mut peer = server.connect_with_small_window("text");
    peer.send_until_stuck(&[b"ECHO ", [b'x'; KIB].as_slice(), b"\n"].concat());
    peer
}

/// Waits until no peer can connect any more.
fn wait_until_nothing_is_accepted(server: &Server) {
    let address = server.address("text");
    wait_until("the listener is closed", || {
        TcpStream::connect(address).is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused)
    });
}

fn check_ordered_end(signal: &str) {
    let mut server = Server::start(&[]);
    let mut text = server.text();
    let mut others = [server.connect("binary"), server.connect("echo"), server.connect("chat")];
    // After a round trip each, all peers are accepted when the signal comes.
    for (peer, (request, answer)) in others.iter_mut().zip([
        (frame(ECHO, "a"), frame(ECHO, "a")),
        (b"a\n".to_vec(), b"Server received: a\n".to_vec()),
        (b"a\n".to_vec(), b"ACK: Received 'a'\n".to_vec()),
    ]) {
        peer.send(request);
        peer.expect(answer);
    }
    server.process().signal(signal);
    text.expect("BYE\n");
    text.expect_eof();
    others.iter_mut().for_each(Peer::expect_eof);
    drop((text, others));
    assert_eq!(server.wait_for_exit().code(), Some(0));
}

#[test]
fn sigterm_sends_bye_closes_and_exits_with_zero() {
    check_ordered_end("TERM");
}

#[test]
fn sigint_sends_bye_closes_and_exits_with_zero() {
    check_ordered_end("INT");
}

#[test]
fn signals_that_come_together_are_one_request() {
    /// The least time in which the server merges signals.
    const MERGED_WITHIN: Duration = Duration::from_millis(200);
    let answer = frame(ECHO, vec![b'x'; 8 << 20]);
    for signals in [["TERM", "INT"], ["TERM", "TERM"], ["INT", "TERM"]] {
        undisturbed(|| {
            let mut server = Server::start(&["--drain-timeout", "1h"]);
            let mut peer = server.connect_with_small_window("binary");
            peer.send(&answer);
            peer.expect(&answer[..1]);
            let signalled = Instant::now();
            signals.iter().for_each(|signal| server.process().signal(signal));
            let are_together = signalled.elapsed() < MERGED_WITHIN;
            if are_together {
                peer.expect(&answer[1..]);
                peer.expect_eof();
            }
            drop(peer);
            assert_eq!(server.wait_for_exit().code(), Some(0), "{signals:?}");
            are_together.then_some(())
        });
    }
}

/// Starts a server under a parent that handles `signals` according to the flag of `env`.
fn start_under(flag: &str, signals: &str) -> Server {
    let mut command = program_under(&["env", &format!("--{flag}-signal={signals}")]);
    command.args(listen_flags());
    Server::launch(command)
}

#[test]
fn signals_that_the_parent_has_blocked_are_heard() {
    for signal in ["TERM", "INT"] {
        let mut server = start_under("block", "TERM,INT,HUP");
        server.process().signal(signal);
        assert_eq!(server.wait_for_exit().code(), Some(0), "SIG{signal}");
    }
}

#[test]
fn a_hangup_that_the_parent_ignores_as_nohup_does_stays_ignored() {
    let mut server = start_under("ignore", "HUP");
    server.process().signal("HUP");
    let mut peer = server.text();
    peer.send("ECHO on\n");
    peer.expect("ECHO on\n");
    drop(peer);
    assert_eq!(server.log.find(&["stopping"]), None);
    server.process().signal("TERM");
    assert_eq!(server.wait_for_exit().code(), Some(0));
}

#[test]
fn a_server_without_peers_exits_with_zero() {
    let mut server = Server::start(&["--drain-timeout", "1h"]);
    server.process().signal("TERM");
    assert_eq!(server.wait_for_exit().code(), Some(0));
}

#[test]
fn peers_that_stay_connected_do_not_hold_up_the_end() {
    let mut server = Server::start(&["--drain-timeout", "1s"]);
    let peers: Vec<Peer> =
        PROTOCOLS.iter().cycle().take(40).map(|protocol| server.connect(protocol)).collect();
    server.text().send("QUIT\n");
    server.process().signal("TERM");
    assert_eq!(server.wait_for_exit().code(), Some(0));
    drop(peers);
}

#[test]
fn everything_that_had_arrived_is_answered() {
    let mut server = Server::start(&[]);
    let mut text = server.text();
    let mut binary = server.connect("binary");
    binary.send(frame(ECHO, "in"));
    binary.expect(frame(ECHO, "in"));
    server.freeze();
    let lines: String = (0..1000).map(|index| format!("ECHO {index}\n")).collect();
    let frames: Vec<u8> = (0..1000).flat_map(|index| frame(ECHO, format!("{index}"))).collect();
    text.send(format!("{lines}ECHO half a comm"));
    binary.send([frames.clone(), vec![ECHO, 0]].concat());
    server.process().signal("TERM");
    server.thaw();
    text.expect(lines + "BYE\n");
    text.expect_eof();
    binary.expect(frames);
    binary.expect_eof();
    drop((text, binary));
    assert_eq!(server.wait_for_exit().code(), Some(0));
}

#[test]
fn more_peers_than_one_wait_reports_are_all_answered() {
    const PEERS: usize = 3000;
    let _open_files = OpenFiles::take(PEERS);
    let mut server = Server::start(&["--activity-log", "1"]);
    let mut peers: Vec<Peer> = (0..PEERS).map(|_| server.text()).collect();
    server.freeze();
    peers.iter_mut().for_each(|peer| peer.send("ECHO me too\n"));
    server.process().signal("TERM");
    server.thaw();
    for peer in &mut peers {
        peer.expect("ECHO me too\nBYE\n");
        peer.expect_eof();
    }
    drop(peers);
    assert_eq!(server.wait_for_exit().code(), Some(0));
}

#[test]
fn under_load_no_answer_is_cut_in_half() {
    const PEERS: usize = 20;
    const DEPTH: usize = 50;
    let mut server = Server::start(&["--activity-log", "1"]);
    let everybody_works = Arc::new(Barrier::new(PEERS + 1));
    let answered = Arc::new(AtomicUsize::new(0));
    let peers: Vec<_> = (0..PEERS)
        .map(|_| {
            let (mut peer, everybody_works, answered) =
                (server.text(), Arc::clone(&everybody_works), Arc::clone(&answered));
            thread::spawn(move || {
                for round in 0.. {
                    let requests: String =
                        (0..DEPTH).map(|index| format!("ECHO {round} {index}\n")).collect();
                    // Once the server has closed, sending may fail. The answers that it has sent
                    // can still be read.
                    peer.try_send(requests.as_bytes());
                    for request in requests.split_inclusive('\n') {
                        let answer = peer.read_line();
                        if answer == "BYE\n" {
                            return peer.expect_eof();
                        }
                        assert_eq!(
                            answer, request,
                            "an answer that is whole and the next in order"
                        );
                        answered.fetch_add(1, Ordering::Relaxed);
                    }
                    if round == 0 {
                        everybody_works.wait();
                    }
                }
            })
        })
        .collect();
    everybody_works.wait();
    let so_far = answered.load(Ordering::Relaxed);
    wait_until("the load goes on", || answered.load(Ordering::Relaxed) > so_far + 10 * DEPTH);
    server.process().signal("TERM");
    for peer in peers {
        peer.join().expect("whole answers, BYE, and the end");
    }
    assert_eq!(server.wait_for_exit().code(), Some(0));
}

#[test]
fn no_connection_is_accepted_any_more() {
    let mut server = Server::start(&["--drain-timeout", "1h", "--write-timeout", "off"]);
    let stuck = stuck_peer(&server);
    server.process().signal("TERM");
    wait_until_nothing_is_accepted(&server);
    assert!(server.is_running(), "it waits for the peer that reads nothing");
    drop(stuck);
    assert_eq!(server.wait_for_exit().code(), Some(0));
}

#[test]
fn a_slow_reader_gets_all_of_its_answers_before_the_end() {
    let mut server = Server::start(&["--drain-timeout", "1h"]);
    let mut peer = server.connect_with_small_window("binary");
    let answer = frame(ECHO, vec![b'x'; 8 << 20]);
    peer.send(&answer);
    peer.expect(&answer[..1]);
    server.process().signal("TERM");
    wait_until_nothing_is_accepted(&server);
    peer.expect(&answer[1..]);
    peer.expect_eof();
    drop(peer);
    assert_eq!(server.wait_for_exit().code(), Some(0));
}

#[test]
fn a_peer_that_reads_nothing_delays_a_stop_by_the_drain_timeout() {
    let mut server = Server::start(&["--drain-timeout", "500ms", "--write-timeout", "off"]);
    let stuck = stuck_peer(&server);
    let signalled = Instant::now();
    server.process().signal("TERM");
    assert_eq!(server.wait_for_exit().code(), Some(0));
    assert!(
        signalled.elapsed() >= Duration::from_millis(500),
        "it gave up after {:?}",
        signalled.elapsed()
    );
    drop(stuck);
}

#[test]
fn a_second_signal_ends_it_at_once() {
    for second in ["TERM", "INT"] {
        let mut server = Server::start(&["--drain-timeout", "1h", "--write-timeout", "off"]);
        let stuck = stuck_peer(&server);
        server.process().signal("TERM");
        wait_until_nothing_is_accepted(&server);
        assert!(server.is_running(), "it waits for the peer that reads nothing");
        thread::sleep(SECOND_REQUEST_AFTER);
        server.process().signal(second);
        assert_eq!(server.wait_for_exit().code(), Some(0), "a second SIG{second}");
        drop(stuck);
    }
}

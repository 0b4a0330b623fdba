//! Servers that refuse connections, or end them before the first reply.

use std::io::Write;
use std::net::{SocketAddr, TcpListener, ToSocketAddrs};
use std::thread;
use std::time::Duration;

use socket2::{Domain, Socket, Type};

use crate::runs::measure;
use crate::servers::{Answer, Counter, right, says_and_leaves, session};
use crate::support::BANNER;
use crate::support::behaviour::{FullQueue, hold, reset, serve, serve_on};
use crate::support::server::Server;
use crate::support::wait::undisturbed;

#[test]
fn a_run_without_a_listener_ends_at_once() {
    // Bound and not listening, so that no other program can listen there.
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).expect("a free port");
    let addr = socket.local_addr().expect("bound").as_socket().expect("an internet address");
    let run = measure(&[&format!("text://{addr}"), "-c", "4", "-d", "60s"]);
    // A run that waits for the end of its duration counts as hanging.
    run.exits_with(1).is_judged(&["nothing_completed", "server_refused"]);
    run.all_zero("connections.failed", &["refused"]).all_zero("errors", &[]);
    assert!(run.count("connections.failed.refused") >= 4, "{run:?}");
    assert!(run.text("verdict.evidence").contains("connections refused"), "{run:?}");
}

#[test]
fn a_server_on_any_address_of_a_name_is_found() {
    // The name has two addresses, and each of the two servers has one of them. A machine can lack
    // one.
    let mut found = 0;
    for addr in ["127.0.0.1:0", "[::1]:0"] {
        let Ok(listener) = TcpListener::bind(addr) else { continue };
        let addr = listener.local_addr().expect("bound");
        let is_named = |other: SocketAddr| other.ip() == addr.ip();
        if !("localhost", 0).to_socket_addrs().expect("every machine knows it").any(is_named) {
            continue;
        }
        let url = format!(
            "text://localhost:{}",
            serve_on(listener, |stream| drop(session(stream, BANNER, right)))
        );
        for pace in [&["-R", "100"][..], &[]] {
            let run = measure(&[&[&url, "-c", "5", "-d", "200ms"], pace].concat());
            assert_eq!(run.is_flawless().count("connections.begun"), 5, "{run:?}");
        }
        found += 1;
    }
    assert!(found > 0, "localhost has no address");
}

#[test]
fn connections_to_a_full_backlog_time_out() {
    let queue = FullQueue::new();
    let url = format!("text://127.0.0.1:{}", queue.port);
    let run = measure(&[&url, "-c", "2", "-d", "500ms", "--timeout", "300ms"]);
    run.exits_with(1).is_judged(&["nothing_completed", "server_refused"]);
    run.all_zero("connections.failed", &["timed_out"]).all_zero("errors", &[]);
    assert!(run.count("connections.failed.timed_out") >= 2, "{run:?}");
    assert_eq!(run.count("connections.opened"), 0);
}

#[test]
fn a_server_that_ends_all_connections_completes_nothing() {
    for is_reset in [true, false] {
        let port = serve(move |stream| if is_reset { reset(stream) } else { drop(stream) });
        let run = measure(&[
            &format!("text://127.0.0.1:{port}"),
            "-c",
            "4",
            "-d",
            "300ms",
            "--timeout",
            "500ms",
        ]);
        run.exits_with(1)
            .all_zero("errors", &["missing"])
            .all_zero("connections.ended", &["closed", "reset"]);
        // A reset can arrive before the event of the open connection.
        run.all_zero("connections.failed", &["reset"]);
        let failed = ["failed.reset", "ended.closed", "ended.reset"]
            .map(|key| run.count(&format!("connections.{key}")));
        assert!(failed.iter().sum::<u64>() >= 4, "{run:?}");
        assert_eq!(run.flaws()[0], "nothing_completed", "{run:?}");
    }
}

#[test]
fn failing_connections_are_retried_with_pauses() {
    let port = serve(drop);
    let run = measure(&[
        &format!("text://127.0.0.1:{port}"),
        "-c",
        "1",
        "-d",
        "500ms",
        "--timeout",
        "500ms",
    ]);
    // Between the attempts are pauses of 10, 20, 40, 80, 160 and 320 ms.
    let begun = run.count("connections.begun");
    assert!((2..=8).contains(&begun), "{begun} connections in half a second");
}

#[test]
fn a_full_server_is_recognised_in_every_protocol() {
    let cases: [(&str, &'static [u8]); 4] = [
        ("text", b"ERROR SERVER_BUSY\n"),
        ("echo", b"ERROR SERVER_BUSY\n"),
        ("chat", b"ERROR SERVER_BUSY\n"),
        ("binary", b"\xff\0\0\0\x0bSERVER_BUSY"),
    ];
    for (protocol, words) in cases {
        let url = format!("{protocol}://127.0.0.1:{}", says_and_leaves(words));
        let run = measure(&[&url, "-c", "2", "-d", "200ms", "--timeout", "300ms"]);
        run.exits_with(1).is_judged(&["nothing_completed", "server_refused"]);
        run.all_zero("connections.failed", &["busy"])
            .all_zero("errors", &[])
            .all_zero("connections.ended", &[]);
        assert!(run.count("connections.failed.busy") >= 2, "{protocol}: {run:?}");
        assert_eq!(run.count("connections.reached"), 0, "{protocol}: {run:?}");
    }
}

#[test]
fn connections_over_the_limit_of_our_server_are_rejected() {
    let server = Server::start(&["--max-connections", "3"]);
    let url = format!("text://{}", server.address("text"));
    let run = measure(&[&url, "-c", "5", "-d", "300ms"]);
    run.exits_with(1).is_judged(&["server_refused"]).all_zero("errors", &[]);
    run.all_zero("connections.failed", &["busy"]);
    assert_eq!(run.count("connections.reached"), 3, "{run:?}");
    assert!(run.count("replies.correct") > 0, "{run:?}");
}

#[test]
fn another_banner_is_not_a_text_server() {
    let port = serve(|mut stream| {
        if stream.write_all(b"220 mail.example ESMTP\r\n").is_ok() {
            hold(stream);
        }
    });
    let run = measure(&[
        &format!("text://127.0.0.1:{port}"),
        "-c",
        "2",
        "-d",
        "200ms",
        "--timeout",
        "300ms",
    ]);
    run.exits_with(1).all_zero("errors", &["wrong"]).all_zero("connections.ended", &["unreadable"]);
    assert!(run.count("connections.ended.unreadable") >= 2, "{run:?}");
    assert_eq!(run.flaws()[0], "nothing_completed", "{run:?}");
}

#[test]
fn a_restarted_server_is_used_again() {
    let run = undisturbed(|| {
        let run = measure(&[&restarting(), "-c", "1", "-R", "100", "-n", "60"]);
        // A busy machine can pause the generator for as long as the server is down.
        (run.count("connections.failed.refused") > 0).then_some(run)
    });
    run.exits_with(4).is_judged(&["server_refused", "unanswered"]).only_error("missing", 1);
    run.all_zero("connections.ended", &["reset"]).all_zero("connections.failed", &["refused"]);
    assert_eq!(run.count("connections.ended.reset"), 1, "{run:?}");
    assert_eq!(run.count("replies.correct"), 59, "{run:?}");
}

/// Serves text on one connection, resets it after five answers, and serves again after a pause.
/// Returns the URL.
fn restarting() -> String {
    // This address is not used elsewhere, so that no other test's connection can take the port
    // between the two servers.
    let first_life = TcpListener::bind("127.0.0.77:0").expect("a free port");
    let addr = first_life.local_addr().expect("bound");
    thread::spawn(move || {
        let (stream, _) = first_life.accept().expect("the only connection");
        drop(first_life);
        let lines = Counter::default();
        let _ =
            session(
                stream,
                BANNER,
                |line| if lines.add() < 5 { right(line) } else { Answer::Own(reset) },
            );
        thread::sleep(Duration::from_millis(100));
        let second_life = TcpListener::bind(addr).expect("the port is still free");
        serve_on(second_life, |stream| drop(session(stream, BANNER, right)));
    });
    format!("text://{addr}")
}

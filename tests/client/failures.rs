//! Servers that are missing, break, stall or send malformed bytes: the exit code and the line of
//! each error.

use std::io::{Read, Write};
use std::sync::{Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use crate::originals;
use crate::runs::{client, finish_child, run, run_script};
use crate::support::behaviour::{
    FullQueue, SilentPort, hold, ignore, reset, serve, serve_on, serve_once_asked,
};
use crate::support::process::Process;
use crate::support::program::DEADLINE;
use crate::support::wait::{undisturbed, wait_until};

fn commands(protocol: &str, port: u16, timeout: &str, commands: &[&str]) -> crate::runs::Run {
    let url = format!("{protocol}://127.0.0.1:{port}");
    let flags = commands.iter().flat_map(|command| ["-e", command]);
    run(&[&url, "--timeout", timeout].into_iter().chain(flags).collect::<Vec<_>>())
}

#[test]
fn a_port_without_a_listener_is_exit_code_3() {
    let port = SilentPort::new();
    for mode in [&["-e", "TIME"][..], &["demo"], &["test"], &["shell"]] {
        let url = format!("text://127.0.0.1:{}", port.number);
        run(&[&[&url[..]], mode].concat())
            .ended_with(3)
            .saying(&format!("cannot connect to {url}: connection refused; start tinytcp-server"));
    }
}

#[test]
fn an_unknown_host_is_exit_code_3() {
    run(&["text://no-such-host.invalid", "-e", "TIME"]).ended_with(3).saying("unknown host");
}

#[test]
fn a_server_that_does_not_accept_in_time_is_exit_code_3() {
    let queue = FullQueue::new();
    commands("text", queue.port, "300ms", &["TIME"]).ended_with(3).saying("timed out");
}

#[test]
fn a_server_that_starts_late_is_waited_for() {
    undisturbed(|| {
        let port = SilentPort::new();
        let url = format!("text://127.0.0.1:{}", port.number);
        let child =
            client(&[&url, "--wait", "20s", "-e", "ECHO late"]).spawn().expect("the client starts");
        // For this time there is no server.
        thread::sleep(Duration::from_millis(300));
        serve_on(port.listen(), |mut stream| {
            let _ = stream.write_all(b"WELCOME\n");
            let _ = stream.read(&mut [0; 1024]);
            let _ = stream.write_all(b"ECHO late\n");
            hold(stream);
        });
        let run = finish_child(child);
        assert_eq!(run.code, Some(0), "{run:?}");
        run.printing("ECHO late\n");
        if run.stderr.is_empty() {
            // The machine has started the client after the server.
            return None;
        }
        run.complaining_in_one_line("tinytcp-client").saying("waited ");
        Some(())
    });
}

// The protocol is `text`, because the client waits for its banner. In other protocols it depends on
// time whether a connection counts as closed at once: the tests of the client's `connect` close it
// before.
#[test]
fn a_proxy_without_its_server_counts_as_no_server() {
    let port = serve(drop);
    run(&[&format!("text://127.0.0.1:{port}"), "--wait", "700ms", "-e", "ECHO a"])
        .ended_with(3)
        .saying("after waiting ")
        .saying("the connection was closed at once; is its server up?");
    let connections = std::sync::atomic::AtomicUsize::new(0);
    let port = serve(move |mut stream| {
        if connections.fetch_add(1, std::sync::atomic::Ordering::Relaxed) < 3 {
            return;
        }
        let _ = stream.write_all(b"WELCOME\n");
        let _ = stream.read(&mut [0; 1024]);
        let _ = stream.write_all(b"ECHO a\n");
        hold(stream);
    });
    let run = run(&[&format!("text://127.0.0.1:{port}"), "--wait", "20s", "-e", "ECHO a"]);
    assert_eq!(run.code, Some(0), "{run:?}");
    run.saying("waited ").printing("ECHO a\n");
}

#[test]
fn answers_that_arrive_while_the_client_is_paused_are_not_late() {
    const TIMEOUT: Duration = Duration::from_secs(2);
    undisturbed(|| {
        let ((asked, was_asked), (answer, may_answer)) = (mpsc::channel(), mpsc::channel());
        let may_answer = Mutex::new(may_answer);
        let port = serve(move |mut stream| {
            let _ = stream.write_all(b"WELCOME\n");
            let _ = stream.read(&mut [0; 1024]);
            let _ = asked.send(());
            let _ = may_answer.lock().expect("no panic").recv_timeout(DEADLINE);
            let _ = stream.write_all(b"ECHO a\n");
            hold(stream);
        });
        let url = format!("text://127.0.0.1:{port}");
        let started = Instant::now();
        let child =
            client(&[&url, "--timeout", "2s", "-e", "ECHO a"]).spawn().expect("the client starts");
        let process = Process { id: child.id() };
        was_asked.recv_timeout(DEADLINE).expect("the client sends a request");
        process.signal("STOP");
        wait_until("the client is stopped", || matches!(process.state(), 'T' | 'Z'));
        let is_in_time = started.elapsed() < TIMEOUT;
        answer.send(()).expect("the server waits");
        thread::sleep(TIMEOUT + Duration::from_millis(500));
        process.signal("CONT");
        let run = finish_child(child);
        // The client may have waited for the whole timeout before it was stopped.
        is_in_time.then(|| {
            run.ended_with(0).printing("ECHO a\n");
        })
    });
}

#[test]
fn a_banner_of_another_protocol_is_reported() {
    let port = serve(|mut stream| {
        let _ = stream.write_all(b"$2\r\n\x1b[2Jhi\r\n");
        hold(stream);
    });
    let url = format!("text://127.0.0.1:{port}");
    run(&[&url, "-e", "ECHO hi"])
        .ended_with(4)
        .saying("'$2\\r' is no banner; does the server speak text?")
        .printing("");
    run(&[&url, "demo"]).ended_with(4).saying("'$2\\r' is no banner");
}

#[test]
fn streams_in_non_blocking_mode_are_waited_for() {
    use std::os::fd::OwnedFd;
    use std::os::unix::net::UnixStream;
    let pair = || UnixStream::pair().expect("a pair of sockets");
    let ((mut input, stdin), (mut output, stdout)) = (pair(), pair());
    stdin
        .set_nonblocking(true)
        .and_then(|()| stdout.set_nonblocking(true))
        .expect("non-blocking mode");
    let mut command = client(&[&format!("text://127.0.0.1:{}", originals::text())]);
    command.stdin(OwnedFd::from(stdin)).stdout(OwnedFd::from(stdout));
    let child = command.spawn().expect("the client starts");
    drop(command);
    let process = Process { id: child.id() };
    let (first, rest) = ("ECHO first\n", (0..50_000).map(|number| format!("ECHO {number}\n")));
    let rest: String = rest.collect();
    input.write_all(first.as_bytes()).expect("the client reads");
    let mut answer = vec![0; first.len()];
    output.read_exact(&mut answer).expect("an answer");
    assert_eq!(answer, first.as_bytes());
    wait_until("the client waits for input", || process.state() == 'S');
    let sent = rest.clone();
    let writer = thread::spawn(move || input.write_all(sent.as_bytes()));
    // This time is the scenario: the answers fill stdout.
    thread::sleep(Duration::from_millis(300));
    let mut answers = String::new();
    output.read_to_string(&mut answers).expect("answers in UTF-8");
    assert!(answers == rest, "{} bytes of {}", answers.len(), rest.len());
    writer.join().expect("no panic").expect("the client reads all");
    finish_child(child).ended_with(0);
}

#[test]
fn the_wait_for_a_server_ends() {
    let port = SilentPort::new();
    let url = format!("text://127.0.0.1:{}", port.number);
    let run = run(&[&url, "--wait", "300ms", "-e", "TIME"]);
    run.ended_with(3).saying("after waiting ").saying("connection refused");
    assert!(run.elapsed >= Duration::from_millis(300), "{run:?}");
}

#[test]
fn every_address_of_a_name_is_tried() {
    // The first address of `localhost` is often `::1`. This server listens only on the other one.
    let url = format!("text://localhost:{}", originals::text());
    run(&[&url, "-e", "ECHO found"]).ended_with(0).printing("ECHO found\n");
}

#[test]
fn a_server_that_closes_at_once_is_exit_code_4() {
    let port = serve(drop);
    for mode in [&["-e", "TIME"][..], &["demo"]] {
        let url = format!("text://127.0.0.1:{port}");
        // Either an end or a reset arrives, and the line names it.
        run(&[&[&url[..]], mode].concat()).ended_with(4);
    }
}

#[test]
fn missing_answers_are_counted() {
    let port = serve_then_close(b"WELCOME\nECHO a\n");
    commands("text", port, "5s", &["ECHO a", "ECHO b", "ECHO c"])
        .ended_with(4)
        .saying("the server closed the connection with 2 answers missing")
        .printing("ECHO a\n");
}

#[test]
fn an_incomplete_answer_is_reported() {
    for (protocol, answer) in [
        ("text", &b"WELCOME\nECHO"[..]),
        ("binary", b"\x01\0\0\0\x05hal"),
        ("binary", b"\x01\0"),
        ("echo", b"Server rec"),
        ("chat", b"ACK: Received 'echo"),
    ] {
        commands(protocol, serve_then_close(answer), "5s", &["echo a"])
            .ended_with(4)
            .saying("in the middle of an answer");
    }
}

#[test]
fn a_reset_is_reported() {
    let port = serve(|mut stream| {
        let _ = stream.write_all(b"WELCOME\n");
        let _ = stream.read(&mut [0; 1024]);
        reset(stream);
    });
    commands("text", port, "5s", &["TIME"])
        .ended_with(4)
        .saying("connection reset with 1 answer missing");
}

#[test]
fn a_silent_server_is_exit_code_4_after_the_timeout() {
    let port = serve(hold);
    for (protocol, missing) in [
        ("text", "no banner"),
        ("binary", "no answer"),
        ("echo", "no answer"),
        ("chat", "no answer"),
    ] {
        let run = commands(protocol, port, "300ms", &["echo a"]);
        run.ended_with(4)
            .saying(&format!("{missing} within 300 ms; does the server speak {protocol}?"));
        assert!(run.elapsed >= Duration::from_millis(300), "{run:?}");
    }
    run(&[&format!("binary://127.0.0.1:{port}"), "demo", "--timeout", "300ms"])
        .ended_with(4)
        .saying("no answer");
}

/// Both answers are slow and right so far: after other bytes, a pause of the server would end the
/// answer of `echo`.
#[test]
fn an_answer_that_never_ends_is_late() {
    let message = "x".repeat(10_000);
    for (protocol, beginning) in [("text", ""), ("echo", "Server received: ")] {
        let port = serve(move |mut stream| {
            let mut is_written = stream.write_all(beginning.as_bytes());
            while is_written.is_ok() {
                thread::sleep(Duration::from_millis(20));
                is_written = stream.write_all(b"x");
            }
        });
        commands(protocol, port, "500ms", &[&message]).ended_with(4).saying("within 500 ms");
    }
}

#[test]
fn a_server_that_reads_nothing_is_reported() {
    // Blank lines have no answer that can be late, so the sending must be bounded.
    let port = serve(|mut stream| {
        let _ = stream.write_all(b"WELCOME\n");
        ignore(stream);
    });
    let script = vec![b'\n'; 32 << 20];
    run_script(&[&format!("text://127.0.0.1:{port}"), "--timeout", "500ms"], &script)
        .ended_with(4)
        .saying("the server stopped reading");
}

#[test]
fn an_endless_line_is_rejected() {
    let port = serve(|mut stream| while stream.write_all(&[b'x'; 64 << 10]).is_ok() {});
    commands("text", port, "20s", &["TIME"]).ended_with(4).saying("longer than 64 MiB");
}

#[test]
fn a_frame_with_an_unknown_code_is_rejected() {
    commands("binary", serve_once_asked(b"\x02\0\0\0\x01a"), "5s", &["echo a"])
        .ended_with(4)
        .saying("has the code 2");
    let text = originals::text();
    commands("binary", text, "5s", &["echo a"])
        .ended_with(4)
        .saying("does the server speak binary?");
}

#[test]
fn a_frame_over_the_limit_is_rejected_by_its_header() {
    // The payload never arrives, so a client that waits for it does not end.
    commands("binary", serve_once_asked(b"\x01\xff\xff\xff\xff"), "off", &["echo a"])
        .ended_with(4)
        .saying("announces 4294967295 bytes");
}

#[test]
fn a_demo_ends_with_the_first_error() {
    let busy = serve(|mut stream| drop(stream.write_all(b"ERROR SERVER_BUSY\n")));
    let run = run(&["127.0.0.1", &busy.to_string(), "demo"]);
    run.ended_with(1).printing(&format!("CONNECT to 127.0.0.1:{busy}\n<- ERROR SERVER_BUSY\n"));
}

#[test]
fn a_full_stdout_is_reported() {
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").expect("a full device");
    let mut command = client(&[&format!("text://127.0.0.1:{}", originals::text()), "-e", "TIME"]);
    command.stdout(full);
    crate::runs::finish(command).ended_with(4).saying("cannot write to stdout");
}

#[test]
fn the_timeout_begins_with_the_request() {
    let url = format!("text://127.0.0.1:{}", originals::text());
    const TIMEOUT: Duration = Duration::from_secs(1);
    undisturbed(|| {
        let mut child = client(&[&url, "--timeout", "1s"])
            .stdin(std::process::Stdio::piped())
            .spawn()
            .expect("starts");
        let mut stdin = child.stdin.take().expect("piped");
        // The client waits for a request for longer than its timeout.
        thread::sleep(TIMEOUT + Duration::from_millis(300));
        let asked_at = Instant::now();
        stdin.write_all(b"ECHO late\n").expect("the client reads");
        drop(stdin);
        let run = finish_child(child);
        if run.code == Some(4) && asked_at.elapsed() >= TIMEOUT {
            // The machine has paused the test for the whole timeout.
            return None;
        }
        run.ended_with(0).printing("ECHO late\n");
        Some(())
    });
}

/// Sends `answer` after the first request, then closes in order, with no request unread.
fn serve_then_close(answer: &'static [u8]) -> u16 {
    serve(move |mut stream| {
        let (banner, answer) = match answer.strip_prefix(b"WELCOME\n") {
            Some(rest) => (&b"WELCOME\n"[..], rest),
            None => (&b""[..], answer),
        };
        let _ = stream.write_all(banner);
        let _ = stream.read(&mut [0; 1024]);
        let _ = stream.write_all(answer);
        let _ = stream.shutdown(std::net::Shutdown::Write);
        hold(stream);
    })
}

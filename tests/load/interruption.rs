//! Signals: the first one ends the run with its report, the second one the program.

use std::io::{ErrorKind, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;

use crate::runs::{Running, generator};
use crate::servers::counting;
use crate::support::behaviour::{FullQueue, hold, serve};
use crate::support::process::Process;
use crate::support::program;
use crate::support::wait::wait_until;

#[test]
fn an_interrupted_run_still_reports() {
    for (signal, number, code) in [("INT", 2, 130), ("TERM", 15, 143)] {
        let (url, lines) = counting();
        let running = Running::start(generator(&[&url, "-c", "2", "-d", "60s"]));
        wait_until("requests are answered", || lines.get() > 10);
        Process { id: running.child.id() }.signal(signal);
        let run = running.finish();
        run.exits_with(code).all_zero("errors", &[]);
        assert_eq!(run["interrupted_by_signal"], number);
        assert!(run.count("replies.correct") >= 8, "{run:?}");
        assert!(run.number("ran_s") < 30.0, "{run:?}");
        assert!(run.ended.text().contains("Replies"), "{}", run.ended.text());
    }
}

#[test]
fn a_waiting_run_can_be_interrupted() {
    let silent = format!("text://127.0.0.1:{}", serve(hold));
    let queue = FullQueue::new();
    let full = format!("text://127.0.0.1:{}", queue.port);
    for url in [silent, full] {
        let running =
            Running::start(generator(&[&url, "-c", "2", "-d", "60s", "--timeout", "60s"]));
        let generator = Process { id: running.child.id() };
        wait_until("it has started", || generator.status_field("Threads") == "2");
        generator.signal("INT");
        let run = running.finish();
        run.exits_with(130).all_zero("errors", &[]);
        assert_eq!(run.flaws()[0], "nothing_completed", "{run:?}");
    }
}

#[test]
fn an_interrupted_search_reports_its_best_run() {
    let (url, lines) = counting();
    let arguments = [&url, "--find-max", "p99=1h", "-R", "100", "-c", "1", "-d", "100ms"];
    let running = Running::start(generator(&arguments));
    wait_until("the second rate is measured", || lines.get() > 30);
    Process { id: running.child.id() }.signal("INT");
    let run = running.finish();
    assert_eq!(run.exits_with(130)["interrupted_by_signal"], 2);
}

#[test]
fn a_second_signal_ends_the_program_at_once() {
    let (url, lines) = counting();
    // The report is not read: without the second signal, writing it would block forever.
    let (stdout, _reader) = full_stdout();
    let mut command = generator(&[&url, "-q", "-c", "2", "-d", "60s"]);
    command.stdout(stdout);
    let mut child = command.spawn().expect("the generator starts");
    let generator = Process { id: child.id() };
    wait_until("requests are answered", || lines.get() > 10);
    generator.signal("INT");
    wait_until("the run is over", || generator.status_field("Threads") == "1");
    assert_eq!(child.try_wait().expect("a child"), None, "it writes its report");
    generator.signal("TERM");
    assert_eq!(program::wait(&mut child).code(), Some(143));
}

/// Returns a full stdout, and its other end, which is not read.
fn full_stdout() -> (OwnedFd, UnixStream) {
    let (mut writer, reader) = UnixStream::pair().expect("two sockets");
    writer.set_nonblocking(true).expect("a socket");
    loop {
        match writer.write(&[b'x'; 4096]) {
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => break,
            Err(error) => panic!("fill a socket: {error}"),
        }
    }
    writer.set_nonblocking(false).expect("a socket");
    (writer.into(), reader)
}

//! What a run shows while it goes on: live rows, metrics, and the report so far after a hangup.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::OpenOptionsExt;

use nix::fcntl::OFlag;
use nix::pty::{PtyMaster, grantpt, posix_openpt, ptsname_r, unlockpt};
use serde_json::Value;

use crate::runs::{Report, Running, Scratch, generator, generator_under, measure, refuses, run};
use crate::servers::{Answer, counting, right, text, text_but};
use crate::support::process::Process;
use crate::support::program::{self, PrintedLines};
use crate::support::wait::wait_until;

fn rows(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).expect("a row in JSON")).collect()
}

fn sum(rows: &[Value], key: &str) -> u64 {
    rows.iter().map(|row| row[key].as_u64().expect(key)).sum()
}

#[test]
fn the_rows_add_up_to_the_report() {
    let live = Scratch::new("ndjson");
    let url = text_but(30, |_| Answer::Bytes(b"ERROR OOPS\n".to_vec()));
    for threads in ["1", "2"] {
        let run = measure(&[
            &url,
            "-c",
            "4",
            "-R",
            "200",
            "-d",
            "1300ms",
            "--threads",
            threads,
            "--live",
            live.path(),
        ]);
        let rows = rows(&live.text().expect("it was written"));
        for (key, path) in [("correct_count", "replies.correct"), ("sent_count", "requests.sent")] {
            assert_eq!(sum(&rows, key), run.count(path), "{key}: {rows:?}");
        }
        assert_eq!(sum(&rows, "errors_count"), run.count("errors.total"), "{rows:?}");
    }
}

#[test]
fn the_ending_or_a_flag_determines_the_format_of_the_rows() {
    let (csv, other) = (Scratch::new("csv"), Scratch::new("log"));
    let url = text(right);
    let short = [&url[..], "-c", "1", "-d", "100ms", "--live"];
    measure(&[&short[..], &[csv.path()]].concat());
    measure(&[&short[..], &[other.path(), "--live-format", "csv"]].concat());
    for file in [csv, other] {
        let text = file.text().expect("it was written");
        assert!(text.starts_with("at_s,length_s,") && text.lines().count() >= 2, "{text}");
    }
}

#[test]
fn rows_on_stdout_leave_the_report_to_stderr() {
    let ended = run(&[&text(right), "-c", "1", "-d", "100ms", "--live", "-"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(sum(&rows(ended.text()), "correct_count") > 0, "{ended:?}");
    assert!(ended.stderr.contains("Verdict"), "{ended:?}");
    refuses(&["--live", "-", "--json", "-"], 2, "can go to stdout");
    refuses(&["--live-format", "csv"], 2, "--live");
}

#[test]
fn metrics_are_served_while_the_run_goes_on() {
    let (url, _) = counting();
    let mut child = generator(&[&url, "-c", "2", "-d", "60s", "--prometheus", "0"])
        .spawn()
        .expect("the generator starts");
    let mut stderr = PrintedLines::of(child.stderr.take().expect("a pipe"));
    let line = stderr.next().expect("a line");
    let address = line.strip_prefix("Metrics at http://").expect(&line);
    let (address, path) = address.split_once('/').expect(&line);
    assert!(address.starts_with("127.0.0.1:") && path == "metrics", "{line}");
    let correct = || {
        let mut stream = TcpStream::connect(address).expect("it listens");
        stream.write_all(b"GET /metrics HTTP/1.0\r\n\r\n").expect("it reads");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("it answers");
        let name = "\ntinytcp_load_replies_correct_total ";
        let rest = answer.split_once(name).map(|(_, rest)| rest).expect(&answer);
        rest.lines().next().and_then(|count| count.parse::<u64>().ok()).expect(&answer)
    };
    wait_until("replies are counted", || correct() > 10);
    Process { id: child.id() }.signal("INT");
    drop(stderr);
    assert_eq!(program::wait(&mut child).code(), Some(130));
}

#[test]
fn an_address_in_use_is_reported_before_the_run() {
    let (url, lines) = counting();
    let address = url.strip_prefix("text://").expect("a URL");
    refuses(&[&url, "--prometheus", address], 1, "cannot listen for --prometheus: ");
    refuses(&[&url, "--prometheus", "x"], 2, "addresses look like 9123");
    assert_eq!(lines.get(), 0);
}

#[test]
fn a_hangup_writes_the_report_so_far_and_the_run_goes_on() {
    let (url, lines) = counting();
    let running = Running::start(generator(&[&url, "-c", "2", "-d", "60s"]));
    let generator = Process { id: running.child.id() };
    wait_until("requests are answered", || lines.get() > 10);
    generator.signal("HUP");
    wait_until("the report so far is written", || running.report.text().is_some());
    let so_far = Report::new(running.report.json());
    assert_eq!(so_far["is_partial"], true);
    let answered = lines.get();
    wait_until("the run goes on", || lines.get() > answered + 10);
    generator.signal("INT");
    let run = running.finish();
    assert_eq!(run.exits_with(130)["is_partial"], false);
    assert!(run.count("replies.correct") > so_far.count("replies.correct"), "{run:?}");
}

#[test]
fn a_hangup_without_a_file_prints_the_report_so_far() {
    let (url, lines) = counting();
    let mut child = generator(&[&url, "-c", "2", "-d", "60s", "-q"]).spawn().expect("it starts");
    let generator = Process { id: child.id() };
    wait_until("requests are answered", || lines.get() > 10);
    generator.signal("HUP");
    let mut stderr = PrintedLines::of(child.stderr.take().expect("a pipe"));
    let end = "The run goes on: the report covers its first ";
    assert!(stderr.any(|line| line.starts_with(end)), "the report ends");
    let answered = lines.get();
    wait_until("the run goes on", || lines.get() > answered + 10);
    generator.signal("TERM");
    drop(stderr);
    assert_eq!(program::wait(&mut child).code(), Some(143));
}

/// Returns a new terminal, and the end for the program. No other program inherits the first end,
/// which would keep the terminal open.
fn terminal() -> (PtyMaster, File) {
    let flags = OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
    let terminal = posix_openpt(flags).expect("a terminal");
    grantpt(&terminal).and_then(|()| unlockpt(&terminal)).expect("our own terminal");
    let mut options = OpenOptions::new();
    options.read(true).write(true).custom_flags(libc::O_NOCTTY);
    let end = options.open(ptsname_r(&terminal).expect("a name")).expect("our own terminal");
    (terminal, end)
}

#[test]
fn a_closed_terminal_ends_the_run_with_its_report() {
    let (url, lines) = counting();
    let (terminal, end) = terminal();
    let mut command = generator_under(&["setsid", "--ctty"], &[&url, "-c", "2", "-d", "60s"]);
    command.stdin(end);
    let running = Running::start(command);
    wait_until("requests are answered", || lines.get() > 10);
    drop(terminal);
    let run = running.finish();
    assert_eq!(run.exits_with(129)["interrupted_by_signal"], 1);
    assert!(run.count("replies.correct") > 8, "{run:?}");
}

#[test]
fn a_condition_ends_the_run_and_is_exit_code_3() {
    let wrong = text_but(30, |_| Answer::Bytes(b"ERROR OOPS\n".to_vec()));
    let run = measure(&[&wrong, "-c", "2", "-d", "60s", "--abort-if", "rate<1,errors>0"]);
    run.exits_with(3).is_judged(&["gate_crossed", "wrong_replies"]);
    assert_eq!(run["aborted_by"], "errors>0");
    assert_eq!(run["gates"][0]["measured"], "1");
    assert!(run.number("ran_s") < 30.0, "{run:?}");
    assert!(run.ended.text().contains("Ended by --abort-if errors>0 after "), "{run:?}");
    let good = measure(&[&text(right), "-c", "2", "-d", "1200ms", "--abort-if", "errors>0"]);
    assert_eq!(good.is_flawless()["aborted_by"], Value::Null);
    refuses(&["--abort-if", "connections<5"], 2, "use --fail-if for connections");
    refuses(&["--abort-if", "p99>+5%"], 2, "is for compare");
}

//! Runs against a server on a unix socket.

use std::os::unix::net::UnixListener;
use std::process::Command;

use crate::agreement::stop;
use crate::runs::{Report, Running, Scratch, generator, generator_under, measure, refuses};
use crate::support::PROTOCOLS;
use crate::support::lines::Lines;
use crate::support::program;
use crate::support::unix::{Folder, forbid, listen_for_one, start, url};
use crate::support::wait::wait_until;

#[test]
fn every_protocol_agrees_over_a_unix_socket() {
    let folder = Folder::new("load-agree");
    for protocol in PROTOCOLS {
        let path = folder.0.join(protocol);
        let server = start(protocol, &path, &[]);
        let run = measure(&[&url(protocol, &path), "-c", "8", "-P", "4", "-d", "200ms"]);
        let totals = stop(server);
        assert_eq!(run.is_flawless().count("requests.sent"), totals.messages, "{totals:?}");
        assert_eq!((run.count("connections.opened"), totals.connections), (8, 8));
    }
}

#[test]
fn one_request_per_connection_agrees_over_a_unix_socket() {
    let folder = Folder::new("load-churn");
    let server = start("text", &folder.socket(), &[]);
    let run =
        measure(&[&url("text", &folder.socket()), "-c", "4", "--lifetime", "1", "-d", "200ms"]);
    let totals = stop(server);
    assert_eq!(run.is_flawless().count("requests.sent"), totals.messages, "{totals:?}");
    let (opened, begun) = (run.count("connections.opened"), run.count("connections.begun"));
    assert!(opened > 4 && (opened..=begun).contains(&totals.connections), "{totals:?} {run:?}");
}

#[test]
fn a_killed_or_stopped_server_on_a_unix_socket_is_gone() {
    let folder = Folder::new("load-gone");
    let url = url("text", &folder.socket());
    // A killed server leaves its file, a stopped one does not.
    for signal in ["KILL", "TERM"] {
        let mut server = start("text", &folder.socket(), &[]);
        let running = Running::start(generator(&[
            &url,
            "-c",
            "3",
            "-R",
            "50",
            "-d",
            "3s",
            "--timeout",
            "2s",
        ]));
        wait_until("the first answers", || {
            server.log.text().iter().any(|line| line.contains("ECHO"))
        });
        server.process().signal(signal);
        server.wait_for_exit();
        let run = running.finish();
        assert_eq!(run.exits_with(4).flaws()[0], "server_gone", "{run:?}");
    }
}

#[test]
fn a_missing_or_stale_unix_socket_refuses() {
    let folder = Folder::new("load-missing");
    let url = url("text", &folder.socket());
    for is_stale in [false, true] {
        if is_stale {
            drop(UnixListener::bind(folder.socket()).expect("a free path"));
        }
        let run = measure(&[&url, "-c", "2", "-d", "200ms"]);
        run.exits_with(1).is_judged(&["nothing_completed", "server_refused"]);
        run.all_zero("connections.failed", &["refused"]).all_zero("errors", &[]);
    }
}

#[test]
fn a_full_backlog_of_a_unix_socket_refuses() {
    let folder = Folder::new("load-full");
    let _listener = listen_for_one(&folder.socket());
    let run =
        measure(&[&url("text", &folder.socket()), "-c", "3", "-d", "300ms", "--timeout", "300ms"]);
    run.exits_with(1).all_zero("connections.failed", &["refused"]);
    assert_eq!(run.count("connections.opened"), 1, "{run:?}");
    assert!(run.count("connections.failed.refused") >= 2, "{run:?}");
}

#[test]
fn connections_refused_by_a_full_backlog_are_retried() {
    let folder = Folder::new("load-again");
    // A backlog of 1 holds two connections.
    let server = start("text", &folder.socket(), &["--backlog", "1"]);
    server.freeze();
    let report = Scratch::new("json");
    let mut command = generator(&[
        &url("text", &folder.socket()),
        "-c",
        "4",
        "-d",
        "4s",
        "--json",
        report.path(),
    ]);
    let mut child = command.spawn().expect("the generator starts");
    let progress = Lines::collect(child.stderr.take().expect("piped"));
    wait_until("the first line of the progress", || !progress.raw().is_empty());
    server.thaw();
    let ended = program::finish_child(child);
    let run = Report::new(report.json());
    assert_eq!(
        (run.count("connections.reached"), run.flaws()),
        (4, vec!["server_refused"]),
        "{run:?}"
    );
    run.all_zero("connections.failed", &["refused"]).all_zero("errors", &[]);
    assert!(
        run.count("connections.failed.refused") >= 2 && run.count("replies.correct") > 0,
        "{run:?}"
    );
    assert!(ended.text().contains("--backlog"), "{}", ended.text());
}

#[test]
fn a_forbidden_socket_is_reported_before_any_connection() {
    let folder = Folder::new("load-forbidden");
    let _server = start("text", &folder.socket(), &[]);
    let wrapper = forbid(&folder.socket());
    let ended =
        program::finish(generator_under(wrapper, &[&url("text", &folder.socket()), "-d", "20s"]));
    assert_eq!(ended.code, Some(1), "{ended:?}");
    ended
        .complaining_in_one_line("tinytcp-load")
        .saying("permission denied; tinytcp-server sets")
        .printing("");
}

#[test]
fn a_pipe_in_place_of_a_socket_does_not_block() {
    let folder = Folder::new("load-pipe");
    let made = Command::new("mkfifo").arg(folder.socket()).status().expect("mkfifo runs");
    assert!(made.success());
    let run = measure(&[&url("text", &folder.socket()), "-c", "2", "-d", "200ms"]);
    run.exits_with(1).all_zero("connections.failed", &["refused"]);
}

#[test]
fn flags_for_tcp_are_refused() {
    let url = "text+unix:///run/t.sock";
    refuses(&[url, "--source", "127.0.0.1"], 2, "--source is for TCP");
    refuses(&[url, "--reset"], 2, "--reset is for TCP");
}

#[test]
fn raw_bytes_work_over_a_unix_socket() {
    let folder = Folder::new("load-raw");
    let _server = start("echo", &folder.socket(), &[]);
    let url = url("tcp", &folder.socket());
    let arguments =
        ["--raw", "-m", r"hi\n", "--expect", r"Server received: hi\n", "-c", "2", "-d", "200ms"];
    assert_eq!(
        measure(&[&[&url[..]], &arguments[..]].concat()).is_flawless().text("asked.target"),
        url
    );
}

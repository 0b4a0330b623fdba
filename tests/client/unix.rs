//! Servers on unix sockets.

use std::os::unix::net::{UnixListener, UnixStream};
use std::process::{Command, Stdio};

use crate::runs::{client, finish, finish_child, run};
use crate::support::PROTOCOLS;
use crate::support::unix::{Folder, forbid, listen_for_one, start, url};

#[test]
fn all_checks_of_all_protocols_pass_on_a_unix_socket() {
    let folder = Folder::new("client-test");
    for protocol in PROTOCOLS {
        let path = folder.0.join(protocol);
        let _server = start(protocol, &path, &[]);
        let run = run(&[&url(protocol, &path), "test", "--timeout", "20s"]);
        assert!(run.ended_with(0).text().trim_end().ends_with(" 0 failed"), "{run:?}");
    }
}

#[test]
fn a_demo_names_the_path() {
    let folder = Folder::new("client-demo");
    let _server = start("text", &folder.socket(), &[]);
    let run = run(&[&url("text", &folder.socket()), "demo"]);
    let first = format!("CONNECT to {}\n", folder.socket().display());
    assert!(run.ended_with(0).text().starts_with(&first), "{run:?}");
}

#[test]
fn a_socket_that_is_created_later_is_waited_for() {
    let folder = Folder::new("client-wait");
    let child =
        client(&[&url("text", &folder.socket()), "--wait", "20s", "-e", "ECHO late"]).spawn();
    let _server = start("text", &folder.socket(), &[]);
    let run = finish_child(child.expect("the client starts"));
    assert_eq!((run.code, run.text()), (Some(0), "ECHO late\n"), "{run:?}");
}

#[test]
fn a_socket_without_a_server_is_reported_with_the_remedy() {
    let folder = Folder::new("client-missing");
    let url = url("text", &folder.socket());
    run(&[&url, "-e", "TIME"]).ended_with(3).saying("no such file; start tinytcp-server there");
    drop(UnixListener::bind(folder.socket()).expect("a free path"));
    run(&[&url, "-e", "TIME"])
        .ended_with(3)
        .saying("connection refused; start tinytcp-server there");
}

#[test]
fn a_full_backlog_is_an_error_after_the_timeout() {
    let folder = Folder::new("client-full");
    let path = folder.socket();
    let _listener = listen_for_one(&path);
    let _queued = UnixStream::connect(&path).expect("room for one");
    run(&[&url("text", &path), "--timeout", "300ms", "-e", "TIME"])
        .ended_with(3)
        .saying("timed out; check the path and the");
}

#[test]
fn a_forbidden_socket_names_the_flag_of_its_permissions() {
    let folder = Folder::new("client-forbidden");
    let _server = start("text", &folder.socket(), &[]);
    let wrapper = forbid(&folder.socket());
    let mut command = Command::new(wrapper[0]);
    command.args(&wrapper[1..]).arg(client(&[]).get_program());
    command.args([&url("text", &folder.socket()), "-e", "TIME"]);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    finish(command)
        .ended_with(3)
        .saying("permission denied; set the permissions of the socket with --unix-mode");
}

//! Servers on unix sockets.

use std::os::unix::net::UnixListener;
use std::process::Command;
use std::thread;

use crate::runs::{client, finish_child, run};
use crate::support::PROTOCOLS;
use crate::support::unix::{Folder, start, url};

#[test]
fn every_promise_of_every_protocol_is_kept_over_a_unix_socket() {
    let folder = Folder::new("client-test");
    for protocol in PROTOCOLS {
        let path = folder.0.join(protocol);
        let _server = start(protocol, &path, &[]);
        let run = run(&[&url(protocol, &path), "test"]);
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
fn a_socket_that_comes_later_is_waited_for() {
    let folder = Folder::new("client-wait");
    let child = client(&[&url("text", &folder.socket()), "--wait", "20s", "-e", "ECHO late"]).spawn();
    let _server = start("text", &folder.socket(), &[]);
    let run = finish_child(child.expect("the client starts"));
    assert_eq!((run.code, run.text()), (Some(0), "ECHO late\n"), "{run:?}");
}

#[test]
fn a_socket_that_is_missing_or_was_left_behind_says_to_start_the_server() {
    let folder = Folder::new("client-missing");
    let url = url("text", &folder.socket());
    run(&[&url, "-e", "TIME"]).ended_with(3).saying("no such file; start tinytcp-server there");
    drop(UnixListener::bind(folder.socket()).expect("a free path"));
    run(&[&url, "-e", "TIME"]).ended_with(3).saying("connection refused; start tinytcp-server there");
}

#[test]
fn a_server_whose_backlog_stays_full_is_given_up_after_the_timeout() {
    let folder = Folder::new("client-full");
    let listener = socket2::Socket::new(socket2::Domain::UNIX, socket2::Type::STREAM, None).expect("a socket");
    let addr = socket2::SockAddr::unix(folder.socket()).expect("a short path");
    listener.bind(&addr).and_then(|()| listener.listen(0)).expect("a free path");
    let path = folder.socket();
    // A backlog of 0 takes one.
    let _queued = std::os::unix::net::UnixStream::connect(&path).expect("room for one");
    run(&[&url("text", &path), "--timeout", "300ms", "-e", "TIME"]).ended_with(3).saying("timed out");
}

#[test]
#[ignore = "needs root, to be somebody else"]
fn a_socket_that_the_user_may_not_use_names_the_flag_that_lets_them() {
    use std::os::unix::fs::PermissionsExt;

    let folder = Folder::new("client-forbidden");
    let _server = start("text", &folder.socket(), &["--unix-mode", "600"]);
    std::fs::set_permissions(&folder.0, std::fs::Permissions::from_mode(0o755)).expect("our folder");
    let program = client(&[]).get_program().to_owned();
    let copy = folder.0.join("client");
    std::fs::copy(program, &copy).expect("a copy that everybody may run");
    let mut command = Command::new("setpriv");
    command.args(["--reuid", "65534", "--clear-groups"]).arg(copy);
    command.args([&url("text", &folder.socket()), "-e", "TIME"]);
    command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    let run = thread::spawn(move || finish_child(command.spawn().expect("setpriv"))).join().expect("no panic");
    run.ended_with(3).saying("permission denied; who may connect is set by --unix-mode");
}

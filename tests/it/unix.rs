//! Listeners on unix sockets. They serve as those of TCP do, and their files exist as long as the
//! server.

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::Shutdown;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;

use crate::support::server::program;
use crate::support::unix::{Folder, launch, start};
use crate::support::wait::PATIENCE;
use crate::support::{BANNER, PROTOCOLS};

fn connect(path: &Path) -> UnixStream {
    let stream = UnixStream::connect(path).expect("the server listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout above zero");
    stream
}

/// Returns the complete reply to `request` and the end of input.
fn ask(path: &Path, request: &[u8]) -> Vec<u8> {
    let mut stream = connect(path);
    stream.write_all(request).expect("send");
    stream.shutdown(Shutdown::Write).expect("half-close");
    let mut answers = Vec::new();
    stream.read_to_end(&mut answers).expect("a clean end");
    answers
}

fn check_serves_text(path: &Path) {
    assert_eq!(ask(path, b"ECHO hello\n"), [BANNER, b"ECHO hello\n"].concat());
}

/// Returns the only line of a server that cannot start at `path`.
fn refusal(path: &Path) -> String {
    let mut server = launch("text", path, &["-qq"]);
    assert!(!server.wait_for_exit().success());
    let lines = server.log.text();
    assert_eq!(lines.len(), 1, "{lines:?}");
    lines[0].clone()
}

#[test]
fn every_protocol_is_served_on_a_unix_socket() {
    let folder = Folder::new("protocols");
    for protocol in PROTOCOLS {
        let path = folder.0.join(protocol);
        let _server = start(protocol, &path, &[]);
        match protocol {
            "text" => check_serves_text(&path),
            "binary" => assert_eq!(ask(&path, b"\x01\0\0\0\x02hi").get(5..), Some(&b"hi"[..])),
            _ => assert!(!ask(&path, b"hello\n").is_empty(), "{protocol}"),
        }
    }
}

#[test]
fn a_half_closed_peer_gets_all_its_answers() {
    let folder = Folder::new("half-close");
    let _server = start("text", &folder.socket(), &[]);
    let request = b"ECHO 0123456789abcdef\n".repeat(20_000);
    let mut stream = connect(&folder.socket());
    let mut writer = stream.try_clone().expect("clone the socket");
    let expected = [BANNER, request.as_slice()].concat();
    let thread = std::thread::spawn(move || {
        writer.write_all(&request).expect("send");
        writer.shutdown(Shutdown::Write).expect("half-close");
    });
    let mut answers = Vec::new();
    stream.read_to_end(&mut answers).expect("a clean end");
    thread.join().expect("the writer");
    assert!(answers == expected, "{} of {} bytes", answers.len(), expected.len());
}

#[test]
fn a_peer_that_leaves_abruptly_costs_the_others_nothing() {
    let folder = Folder::new("abrupt");
    let server = start("text", &folder.socket(), &[]);
    let before = server.descriptor_count();
    for _ in 0..50 {
        let mut stream = connect(&folder.socket());
        stream.write_all(&b"ECHO never read\n".repeat(1000)).expect("send");
    }
    server.wait_for_descriptors(before);
    check_serves_text(&folder.socket());
}

#[test]
fn the_file_has_the_mode_that_was_asked_for() {
    let folder = Folder::new("mode");
    for (flag, mode) in [("0660", 0o660), ("600", 0o600)] {
        let _server = start("text", &folder.socket(), &["--unix-mode", flag]);
        let permissions = fs::metadata(folder.socket()).expect("the file").permissions();
        assert_eq!(permissions.mode() & 0o777, mode);
    }
}

#[test]
fn the_file_is_removed_at_a_stop() {
    let folder = Folder::new("stop");
    drop(start("text", &folder.socket(), &[]));
    assert!(!folder.socket().exists());
}

#[test]
fn the_file_of_another_program_is_left_at_a_stop() {
    let folder = Folder::new("moved");
    let server = start("text", &folder.socket(), &[]);
    // It is kept under another name, so that its inode is not used again.
    fs::rename(folder.socket(), folder.0.join("old")).expect("move the file");
    let _other = UnixListener::bind(folder.socket()).expect("a listener of our own");
    drop(server);
    assert!(folder.socket().exists());
}

#[test]
fn the_file_of_a_killed_server_is_replaced() {
    let folder = Folder::new("killed");
    let mut killed = start("text", &folder.socket(), &[]);
    killed.process().signal("KILL");
    killed.wait_for_exit();
    assert!(folder.socket().exists());
    let _server = start("text", &folder.socket(), &[]);
    check_serves_text(&folder.socket());
}

#[test]
fn a_socket_on_which_a_server_listens_is_never_replaced() {
    let folder = Folder::new("live");
    let _server = start("text", &folder.socket(), &[]);
    let line = refusal(&folder.socket());
    assert!(line.contains("another program listens there: stop it"), "{line}");
    check_serves_text(&folder.socket());
}

#[test]
fn a_file_that_is_no_socket_is_never_replaced() {
    let folder = Folder::new("file");
    fs::write(folder.socket(), "precious").expect("write a file");
    let line = refusal(&folder.socket());
    assert!(line.contains("the file there is not a socket; remove it"), "{line}");
    assert_eq!(fs::read(folder.socket()).expect("the file"), b"precious");
}

#[test]
fn a_path_in_a_missing_folder_is_refused_with_what_to_do() {
    let folder = Folder::new("missing");
    let line = refusal(&folder.0.join("none/s"));
    assert!(line.contains("create its directory first"), "{line}");
}

#[test]
fn a_path_that_is_too_long_is_refused() {
    let output = program()
        .args(["--listen", &format!("text+unix:///tmp/{}", "x".repeat(103))])
        .output()
        .expect("run");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && said.contains("at most 107"), "{said}");
}

#[test]
fn the_log_numbers_the_peers_and_warns_of_no_other_machines() {
    let folder = Folder::new("log");
    let server = start("text", &folder.socket(), &[]);
    check_serves_text(&folder.socket());
    check_serves_text(&folder.socket());
    server.wait_for_log(&["text unix#1"]);
    server.wait_for_log(&["text unix#2"]);
    assert!(server.log.find(&["other machines"]).is_none());
}

#[test]
fn a_connection_over_the_limit_gets_an_error() {
    let folder = Folder::new("busy");
    let _server = start("text", &folder.socket(), &["--max-connections", "1"]);
    let mut first = connect(&folder.socket());
    first.read_exact(&mut vec![0; BANNER.len()]).expect("a banner");
    let mut answer = String::new();
    match connect(&folder.socket()).read_to_string(&mut answer) {
        Ok(_) => {}
        Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
    }
    assert!(answer.contains("SERVER_BUSY"), "{answer:?}");
}

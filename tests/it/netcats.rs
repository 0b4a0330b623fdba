//! `benches/netcats`: it distinguishes a right server from a wrong one, and reports the difference
//! in one line.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::symlink;
use std::process::{Command, Output};
use std::thread;

use crate::support::BANNER;
use crate::support::server::Server;

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/netcats");

/// Returns the script with `sessions` sessions against the server at `address`.
fn netcats(sessions: usize, address: SocketAddr) -> Command {
    let mut command = Command::new(SCRIPT);
    command.args([
        "-n",
        &sessions.to_string(),
        &address.ip().to_string(),
        &address.port().to_string(),
    ]);
    command
}

/// Returns the exit code, and the output without the seconds.
fn outcome(output: &Output) -> (Option<i32>, String) {
    let printed = String::from_utf8_lossy(&output.stdout);
    let counts = printed.rsplit_once(", ").map_or("", |(counts, _)| counts);
    (output.status.code(), counts.to_owned())
}

/// Starts a server of the text protocol that replies to each line with the result of `answer`, and
/// closes if there is none and after `QUIT`.
fn strange_server(answer: fn(&str) -> Option<String>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("a bound socket has an address");
    thread::spawn(move || {
        for stream in listener.incoming() {
            thread::spawn(move || converse(stream.expect("accept"), answer));
        }
    });
    address
}

fn converse(mut stream: TcpStream, answer: fn(&str) -> Option<String>) {
    let lines = BufReader::new(stream.try_clone().expect("clone the socket")).lines();
    // A failed write ends the conversation, and the script reports what is missing.
    let _ = stream.write_all(BANNER);
    for line in lines.map_while(Result::ok) {
        let Some(answer) = answer(&line) else { return };
        let _ = writeln!(stream, "{answer}");
        if line == "QUIT" {
            return;
        }
    }
}

/// Returns the answer of the server, except the time.
fn right_answer(line: &str) -> Option<String> {
    let (command, text) = line.split_once([' ', '\t']).unwrap_or((line, ""));
    Some(match (command.to_uppercase().as_str(), text.trim_start()) {
        ("ECHO", "") => "ERROR BAD_ARGUMENTS".into(),
        ("ECHO", text) => format!("ECHO {text}"),
        ("TIME", _) => "TIME 2025-09-12T17:24:13-05:00".into(),
        ("HELP", _) => "HELP COMMANDS: TIME | ECHO <TEXT> | HELP | QUIT | MORE".into(),
        ("QUIT", _) => "BYE".into(),
        _ => "ERROR UNKNOWN_COMMAND".into(),
    })
}

#[test]
#[ignore = "needs nc and python3: .ci/run installs them"]
fn every_session_is_answered_by_the_real_server() {
    let server = Server::start(&[]);
    let output = netcats(50, server.address("text")).output().expect("run the script");
    let expected = (Some(0), "50 sessions at once, 450 answers, 0 wrong, 0 missing".to_owned());
    assert_eq!(outcome(&output), expected, "{output:?}");
}

#[test]
#[ignore = "needs nc and python3: .ci/run installs them"]
fn a_server_whose_echo_is_not_the_text_is_found_wrong() {
    let address = strange_server(|line| match line {
        "ECHO session 3 says goodbye" => Some("ECHO session 4 says goodbye".into()),
        line => right_answer(line),
    });
    let output = netcats(5, address).output().expect("run the script");
    let expected = (Some(1), "5 sessions at once, 45 answers, 1 wrong, 0 missing".to_owned());
    assert_eq!(outcome(&output), expected, "{output:?}");
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert!(complaints.contains("session 3, ECHO: 'ECHO session 4 says goodbye'"), "{complaints}");
}

#[test]
#[ignore = "needs nc and python3: .ci/run installs them"]
fn a_time_in_another_form_is_found_wrong() {
    let address = strange_server(|line| match line {
        "TIME" => Some("TIME 2025-09-12T22:24:13Z".into()),
        line => right_answer(line),
    });
    let output = netcats(4, address).output().expect("run the script");
    let expected = (Some(1), "4 sessions at once, 36 answers, 4 wrong, 0 missing".to_owned());
    assert_eq!(outcome(&output), expected, "{output:?}");
}

#[test]
#[ignore = "needs nc and python3: .ci/run installs them"]
fn a_server_that_leaves_early_misses_the_answers_from_there_on() {
    let address = strange_server(|line| match line {
        "ECHO" => None,
        line => right_answer(line),
    });
    // nc does not end when the server closes, so the script waits for the missing answers.
    let output = netcats(4, address).arg("--timeout=5").output().expect("run the script");
    let expected = (Some(1), "4 sessions at once, 16 answers, 0 wrong, 20 missing".to_owned());
    assert_eq!(outcome(&output), expected, "{output:?}");
}

#[test]
#[ignore = "needs nc and python3: .ci/run installs them"]
fn a_server_that_is_not_there_is_one_line() {
    let unused = TcpListener::bind("127.0.0.1:0")
        .and_then(|listener| listener.local_addr())
        .expect("a free port");
    let output = netcats(4, unused).output().expect("run the script");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!((output.status.code(), said.lines().count()), (Some(3), 1), "{said}");
    assert!(said.contains("Connection refused; start tinytcp-server first"), "{said}");
}

#[test]
#[ignore = "needs nc and python3: .ci/run installs them"]
fn without_nc_the_package_is_named() {
    let python =
        Command::new("python3").args(["-c", "import sys; print(sys.executable, end='')"]).output();
    let python = String::from_utf8(python.expect("run python3").stdout).expect("a path in UTF-8");
    // A folder of programs that has only Python.
    let folder = std::env::temp_dir().join(format!("netcats-{}", std::process::id()));
    fs::create_dir(&folder).expect("a new folder");
    symlink(python, folder.join("python3")).expect("a link");
    let output = netcats(4, ([127, 0, 0, 1], 1).into()).env("PATH", &folder).output();
    fs::remove_dir_all(&folder).expect("remove the folder");
    let output = output.expect("run the script");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{said}");
    assert_eq!(said, "netcats: nc is not installed; it is in the package netcat-openbsd\n");
}

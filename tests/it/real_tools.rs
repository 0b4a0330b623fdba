//! Common programs with all four protocols: two kinds of netcat, telnet and socat.

use crate::support::clock::{COVER, cover_local_times};
use crate::support::frames::{ECHO, QUIT, REVERSE, frame};
use crate::support::peer::difference;
use crate::support::server::Server;
use crate::support::tool::Tool;
use crate::support::{BANNER, PROTOCOLS};
use std::net::SocketAddr;

const TEXT_ANSWERS: &[u8] = b"ECHO hi there\nERROR UNKNOWN_COMMAND\nECHO last\n";
const CONNECTED: &str = "Hello from the server! Connection established.";

/// Returns a few requests of each protocol, and the complete reply to them and the end of the
/// input.
fn requests_and_answers(protocol: &str) -> (Vec<u8>, Vec<u8>) {
    match protocol {
        "text" => (
            b"TIME\necho hi there\r\nNONSENSE\nECHO last\n".to_vec(),
            [BANNER, format!("TIME {COVER}\n").as_bytes(), TEXT_ANSWERS].concat(),
        ),
        "binary" => (
            [frame(ECHO, "hi"), frame(REVERSE, "abc"), frame(ECHO, [0, 255, 10, 13])].concat(),
            [frame(ECHO, "hi"), frame(ECHO, "cba"), frame(ECHO, [0, 255, 10, 13])].concat(),
        ),
        "echo" => (
            b"one\ntwo\r\nthree".to_vec(),
            b"Server received: one\nServer received: two\r\nServer received: three".to_vec(),
        ),
        "chat" => (
            b"hello\nwhat time is it?\nbye".to_vec(),
            format!("{CONNECTED}\nServer Time: {COVER}\nACK: Received 'bye'").into_bytes(),
        ),
        other => panic!("{other}?"),
    }
}

/// Runs a program with the requests of each protocol as its input, as `printf ... | program` does,
/// and compares its output.
#[track_caller]
fn check_poured_in(program: &str, args: fn(SocketAddr) -> Vec<String>) {
    let server = Server::start(&[]);
    for protocol in PROTOCOLS {
        let (requests, answers) = requests_and_answers(protocol);
        let args = args(server.address(protocol));
        let mut tool = Tool::start(program, &args.iter().map(String::as_str).collect::<Vec<_>>());
        tool.say(requests);
        tool.end_input();
        let printed = cover_local_times(&tool.finish());
        assert!(
            printed == answers,
            "{program} {args:?}, {protocol}: {}",
            difference(&printed, &answers)
        );
    }
}

/// Sends the requests of each protocol one after the other, waits for each answer, and ends with
/// the last request of the protocol.
#[track_caller]
fn check_typed(program: &str, args: fn(SocketAddr) -> Vec<String>) {
    let server = Server::start(&[]);
    for protocol in PROTOCOLS {
        let args = args(server.address(protocol));
        let mut tool = Tool::start(program, &args.iter().map(String::as_str).collect::<Vec<_>>());
        for word in ["one", "two", "three"] {
            let (request, answer) = match protocol {
                "text" => {
                    (format!("ECHO {word}\n").into_bytes(), format!("ECHO {word}\n").into_bytes())
                }
                "binary" => (frame(ECHO, word), frame(ECHO, word)),
                "echo" => (
                    format!("{word}\n").into_bytes(),
                    format!("Server received: {word}").into_bytes(),
                ),
                _ => (
                    format!("{word}\n").into_bytes(),
                    format!("ACK: Received '{word}'").into_bytes(),
                ),
            };
            tool.say(request);
            tool.wait_for(answer);
        }
        match protocol {
            "text" => tool.say("QUIT\n"),
            "binary" => tool.say(frame(QUIT, "")),
            "chat" => tool.say("exit\n"),
            // No request ends a session of `echo`.
            _ => tool.end_input(),
        }
        if protocol == "text" {
            tool.wait_for("BYE\n");
        }
        tool.end_input();
        tool.finish();
    }
}

fn host_and_port(address: SocketAddr) -> [String; 2] {
    [address.ip().to_string(), address.port().to_string()]
}

/// `nc -N`: it passes on the end of its input, and waits for the answers.
fn nc(address: SocketAddr) -> Vec<String> {
    [&["-N".to_owned()][..], &host_and_port(address)].concat()
}

/// `nc -q 1`: it does not pass on the end of its input, and exits a second later.
fn nc_that_leaves(address: SocketAddr) -> Vec<String> {
    [&["-q".to_owned(), "1".to_owned()][..], &host_and_port(address)].concat()
}

fn ncat(address: SocketAddr) -> Vec<String> {
    host_and_port(address).to_vec()
}

fn socat(address: SocketAddr) -> Vec<String> {
    vec!["-t".into(), "10".into(), "-".into(), format!("TCP:{address}")]
}

fn telnet(address: SocketAddr) -> Vec<String> {
    [&["-E".to_owned()][..], &host_and_port(address)].concat()
}

#[test]
#[ignore = "needs nc, ncat, telnet, socat: .ci/run installs them"]
fn nc_gets_every_answer_to_what_is_poured_in() {
    check_poured_in("nc", nc);
}

#[test]
#[ignore = "needs nc, ncat, telnet, socat: .ci/run installs them"]
fn nc_that_leaves_after_a_second_has_every_answer_by_then() {
    check_poured_in("nc", nc_that_leaves);
}

#[test]
#[ignore = "needs nc, ncat, telnet, socat: .ci/run installs them"]
fn nc_is_answered_line_by_line() {
    check_typed("nc", nc);
}

#[test]
#[ignore = "needs nc, ncat, telnet, socat: .ci/run installs them"]
fn ncat_gets_every_answer_to_what_is_poured_in() {
    check_poured_in("ncat", ncat);
}

#[test]
#[ignore = "needs nc, ncat, telnet, socat: .ci/run installs them"]
fn ncat_is_answered_line_by_line() {
    check_typed("ncat", ncat);
}

#[test]
#[ignore = "needs nc, ncat, telnet, socat: .ci/run installs them"]
fn socat_gets_every_answer_to_what_is_poured_in() {
    check_poured_in("socat", socat);
}

#[test]
#[ignore = "needs nc, ncat, telnet, socat: .ci/run installs them"]
fn socat_is_answered_line_by_line() {
    check_typed("socat", socat);
}

#[test]
#[ignore = "needs nc, ncat, telnet, socat: .ci/run installs them"]
fn telnet_is_answered_line_by_line() {
    let server = Server::start(&[]);
    for (protocol, exchanges) in [
        ("text", [("ECHO hi\n", "ECHO hi"), ("TIME\n", "TIME 2"), ("QUIT\n", "BYE")]),
        (
            "echo",
            [
                ("one\n", "Server received: one"),
                ("two\n", "Server received: two"),
                ("three\n", "Server received: three"),
            ],
        ),
        (
            "chat",
            [
                ("hello\n", "Hello from the server!"),
                ("what\n", "ACK: Received 'what'"),
                ("time\n", "Server Time: "),
            ],
        ),
    ] {
        let args = telnet(server.address(protocol));
        let mut tool = Tool::start("telnet", &args.iter().map(String::as_str).collect::<Vec<_>>());
        for (request, answer) in exchanges {
            tool.say(request);
            tool.wait_for(answer);
        }
        tool.end_input();
        tool.finish();
    }
}

#[test]
#[ignore = "needs nc, ncat, telnet, socat: .ci/run installs them"]
fn two_hundred_nc_at_once_each_have_their_own_conversation() {
    const ROUNDS: usize = 5;
    let server = Server::start(&[]);
    let mut tools: Vec<(usize, &str, Tool)> = (0..200)
        .map(|index| {
            let protocol = PROTOCOLS[index % 4];
            let args = nc(server.address(protocol));
            (
                index,
                protocol,
                Tool::start("nc", &args.iter().map(String::as_str).collect::<Vec<_>>()),
            )
        })
        .collect();
    let said = |index: usize, round: usize| format!("{index} says {round}");
    let answer = |protocol: &str, words: &str| match protocol {
        "text" => format!("ECHO {words}\n").into_bytes(),
        "binary" => frame(ECHO, words),
        "echo" => format!("Server received: {words}\n").into_bytes(),
        _ => format!("ACK: Received '{words}'\n").into_bytes(),
    };
    for round in 0..ROUNDS {
        for (index, protocol, tool) in &mut tools {
            let words = said(*index, round);
            match *protocol {
                "text" => tool.say(format!("ECHO {words}\n")),
                "binary" => tool.say(frame(ECHO, words)),
                _ => tool.say(format!("{words}\n")),
            }
        }
        for (index, protocol, tool) in &tools {
            tool.wait_for(answer(protocol, &said(*index, round)));
        }
    }
    for (index, protocol, mut tool) in tools {
        tool.end_input();
        let greeting = if protocol == "text" { BANNER.to_vec() } else { Vec::new() };
        let answers = (0..ROUNDS).flat_map(|round| answer(protocol, &said(index, round)));
        let expected: Vec<u8> = greeting.into_iter().chain(answers).collect();
        let printed = tool.finish();
        assert!(printed == expected, "{protocol} {index}: {}", difference(&printed, &expected));
    }
}

#[test]
#[ignore = "needs nc, ncat, telnet, socat: .ci/run installs them"]
fn five_hundred_nc_poured_in_at_once_are_all_answered() {
    let server = Server::start(&[]);
    let args = nc(server.address("text"));
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let tools: Vec<Tool> = (0..500)
        .map(|index| {
            let mut tool = Tool::start("nc", &args);
            tool.say(format!("ECHO {index}\nQUIT\n"));
            tool.end_input();
            tool
        })
        .collect();
    for (index, tool) in tools.into_iter().enumerate() {
        let expected = [BANNER, format!("ECHO {index}\nBYE\n").as_bytes()].concat();
        let printed = tool.finish();
        assert!(printed == expected, "{index}: {}", difference(&printed, &expected));
    }
}

//! Scripts: the requests that are sent, the answers that are printed, and the end of a run.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::Stdio;
use std::time::Duration;

use crate::originals;
use crate::runs::{client, finish_child, run, run_script};
use crate::support::behaviour::{SilentPort, hold, serve, serve_once_asked};
use crate::support::program::{PrintedLines, wait};

/// Without a timeout, and with a server that never closes, a run ends only with its last answer.
const NO_TIMER: [&str; 2] = ["--timeout", "off"];

fn url(protocol: &str, port: u16) -> String {
    format!("{protocol}://127.0.0.1:{port}")
}

/// Runs commands without a timeout.
#[track_caller]
fn commands(url: &str, commands: &[&str]) -> crate::runs::Run {
    let flags = commands.iter().flat_map(|command| ["-e", command]);
    run(&[url].into_iter().chain(NO_TIMER).chain(flags).collect::<Vec<_>>())
}

#[test]
fn a_text_script_prints_only_the_answers() {
    let url = url("text", originals::text());
    run_script(&[&url], b"TIME\nECHO hi")
        .ended_with(0)
        .printing(&format!("TIME {}\nECHO hi\n", originals::TIME));
    commands(&url, &["ECHO hi", "HELP"])
        .ended_with(0)
        .printing("ECHO hi\nHELP COMMANDS: TIME | ECHO <TEXT> | HELP | QUIT\n");
}

#[test]
fn an_empty_script_prints_nothing() {
    run_script(&[&url("text", originals::text()), "--timeout", "off"], b"")
        .ended_with(0)
        .printing("");
    run_script(&[&url("echo", originals::echo()), "--timeout", "off"], b"")
        .ended_with(0)
        .printing("");
}

#[test]
fn blank_lines_and_carriage_returns_get_no_answer() {
    let url = url("text", originals::text());
    run_script(&[&url, "--timeout", "off"], b"\r\n \t\nECHO a\r\n\n")
        .ended_with(0)
        .printing("ECHO a\n");
    run_script(&[&url, "--timeout", "off"], b"\n\n").ended_with(0).printing("");
}

#[test]
fn quit_ends_a_text_script() {
    let url = url("text", originals::text());
    let run = commands(&url, &["ECHO a", "quit", "", "ECHO b", "TIME"]);
    assert_eq!(run.code, Some(0), "{run:?}");
    run.complaining_in_one_line("tinytcp-client").printing("ECHO a\nBYE\n");
    run.saying("'ECHO b' was not sent: 'quit' before it ends the session");
    commands(&url, &["ECHO a", "quit", ""]).ended_with(0).printing("ECHO a\nBYE\n");
}

#[test]
fn an_error_is_printed_and_the_script_continues() {
    commands(&url("text", originals::text()), &["FOO", "ECHO on"])
        .ended_with(1)
        .printing("ERROR UNKNOWN_COMMAND\nECHO on\n");
    let busy = serve_once_asked(b"\xff\0\0\0\x0bSERVER_BUSY\x01\0\0\0\x02on");
    commands(&url("binary", busy), &["echo a", "echo on"])
        .ended_with(1)
        .printing("ERROR SERVER_BUSY\non\n");
    let too_long = serve_once_asked(b"ERROR LINE_TOO_LONG\n");
    commands(&url("echo", too_long), &["a"]).ended_with(1).printing("ERROR LINE_TOO_LONG\n");
}

#[test]
fn a_binary_script_has_the_words_of_the_original_client() {
    let url = url("binary", originals::binary());
    commands(&url, &["echo Hello, World!", "rev custom protocols are fun", "echo", "rev é字"])
        .ended_with(0)
        .printing("Hello, World!\nnuf era slocotorp motsuc\n\n字é\n");
    commands(&url, &["echo a", "quit", "echo b"]).saying("'echo b' was not sent").printing("a\n");
}

#[test]
fn an_unknown_word_ends_the_script_with_its_line_number() {
    let url = url("binary", originals::binary());
    run_script(&[&url], b"echo a\nfoo\necho b\n")
        .ended_with(2)
        .saying("line 2 of the script")
        .printing("a\n");
}

#[test]
fn commands_of_flags_are_checked_before_any_is_sent() {
    let port = SilentPort::new();
    run(&[&url("binary", port.number), "-e", "echo a", "-e", "foo"])
        .ended_with(2)
        .saying("unknown command 'foo'");
}

#[test]
fn answers_without_a_newline_are_complete_with_their_text() {
    commands(&url("echo", originals::echo()), &["hi", "", "hi there", "quit", "more"])
        .saying("'more' was not sent")
        .printing("Server received: hi\nServer received: \nServer received: hi there\n");
    commands(&url("chat", originals::chat()), &["hello", "what time?", "status", "exit", "more"])
        .saying("'more' was not sent")
        .printing(
            "Hello from the server! Connection established.\nServer Time: 17:24:13\n\
             Server is running smoothly on Python.\n",
        );
}

#[test]
fn a_message_may_be_quoted_with_its_newline() {
    commands(&url("chat", originals::chat()), &["hi", "ho"])
        .ended_with(0)
        .printing("ACK: Received 'hi\n'\nACK: Received 'ho\n'\n");
}

#[test]
fn an_unexpected_answer_is_complete_after_a_silence() {
    let other = serve(|mut stream| {
        while stream.read(&mut [0; 1024]).is_ok_and(|len| len > 0) {
            let _ = stream.write_all(b"You said something");
        }
    });
    commands(&url("echo", other), &["a", "b"])
        .ended_with(0)
        .printing("You said something\nYou said something\n");
}

#[test]
fn an_answer_in_pieces_is_one_answer() {
    let slow = serve(|mut stream| {
        let _ = stream.set_nodelay(true);
        let _ = stream.read(&mut [0; 1024]);
        for piece in ["Server rec", "eived: a", "\r", "\n"] {
            let _ = stream.write_all(piece.as_bytes());
            std::thread::sleep(Duration::from_millis(20));
        }
        let _ = stream.read(&mut [0; 1024]);
        let _ = stream.write_all(b"Server received: b");
        hold(stream);
    });
    commands(&url("echo", slow), &["a", "b"])
        .ended_with(0)
        .printing("Server received: a\nServer received: b\n");
}

#[test]
fn answers_are_printed_byte_for_byte() {
    let line = b"ECHO \x1b[2J\x00\xff\x80 \xc3\xa9\t\r";
    let url = url(
        "text",
        serve(|mut stream| {
            let _ = stream.write_all(b"WELCOME\n");
            let mut reader = BufReader::new(stream.try_clone().expect("a socket"));
            let mut line = Vec::new();
            let _ = reader.read_until(b'\n', &mut line);
            let _ = stream.write_all(&line);
            hold(stream);
        }),
    );
    let run = run_script(&[&url, "--timeout", "off"], &[line, &b"\r\n"[..]].concat());
    assert_eq!(run.ended_with(0).stdout, [line, &b"\n"[..]].concat());
}

#[test]
fn a_server_that_waits_for_its_answers_is_no_deadlock() {
    // Far more than the buffers of two sockets: a client that first only sends would wait forever.
    let script: Vec<u8> = (0..200_000)
        .flat_map(|number| format!("ECHO line {number} {:60}.\n", "").into_bytes())
        .collect();
    let url = url("text", originals::text());
    let run = run_script(&[&url, "--timeout", "off"], &script);
    assert!(run.ended_with(0).stdout == script, "answers differ: {} bytes", run.stdout.len());
}

#[test]
fn an_answer_is_printed_while_the_script_is_being_written() {
    for (url, command, answer) in [
        (url("text", originals::text()), "ECHO a\n", "ECHO a"),
        (url("binary", originals::binary()), "rev ab\n", "ba"),
        (url("echo", originals::echo()), "a\n", "Server received: a"),
    ] {
        let mut child = client(&[&url, "--timeout", "off"])
            .stdin(Stdio::piped())
            .spawn()
            .expect("the client starts");
        let mut stdin = child.stdin.take().expect("piped");
        let mut lines = PrintedLines::of(child.stdout.take().expect("piped"));
        for _ in 0..2 {
            // An unfinished script must not delay the answer.
            stdin.write_all(command.as_bytes()).expect("the client reads");
            assert_eq!(lines.next().as_deref(), Some(answer));
        }
        drop(stdin);
        assert_eq!(wait(&mut child).code(), Some(0));
    }
}

#[test]
fn half_a_line_does_not_delay_the_lines_before_it() {
    let url = url("text", originals::text());
    let mut child = client(&[&url, "--timeout", "off"])
        .stdin(Stdio::piped())
        .spawn()
        .expect("the client starts");
    let mut stdin = child.stdin.take().expect("piped");
    let mut lines = PrintedLines::of(child.stdout.take().expect("piped"));
    stdin.write_all(b"ECHO a\nECH").expect("the client reads");
    assert_eq!(lines.next().as_deref(), Some("ECHO a"));
    drop(stdin);
    // `ECH` is sent at the end of the script, and is not a command.
    assert_eq!(wait(&mut child).code(), Some(1));
}

#[test]
fn a_server_that_closes_ends_a_script() {
    let url = url("text", serve(|mut stream| drop(stream.write_all(b"WELCOME\n"))));
    let child = client(&[&url]).stdin(Stdio::piped()).spawn();
    let mut child = child.expect("the client starts");
    let stdin = child.stdin.take();
    finish_child(child).ended_with(4).saying("before the script ended");
    drop(stdin);
}

#[test]
fn a_server_that_closes_with_an_error_is_exit_code_1() {
    let busy = serve(|mut stream| drop(stream.write_all(b"ERROR SERVER_BUSY\n")));
    run(&[&url("text", busy), "-e", "TIME", "-e", "HELP"])
        .ended_with(1)
        .printing("ERROR SERVER_BUSY\n");
    let idle = serve(|mut stream| {
        let _ = stream.write_all(b"WELCOME\n");
        let _ = stream.write_all(b"ERROR IDLE_TIMEOUT\n");
    });
    let child = client(&[&url("text", idle)]).stdin(Stdio::piped()).spawn();
    let mut child = child.expect("the client starts");
    let stdin = child.stdin.take();
    finish_child(child).ended_with(1).printing("ERROR IDLE_TIMEOUT\n");
    drop(stdin);
}

#[test]
fn a_closed_stdout_is_no_error() {
    let url = url("text", originals::text());
    let script: String = (0..100_000).map(|number| format!("ECHO {number}\n")).collect();
    let mut child = client(&[&url]).stdin(Stdio::piped()).spawn().expect("the client starts");
    drop(child.stdout.take());
    let mut stdin = child.stdin.take().expect("piped");
    std::thread::spawn(move || stdin.write_all(script.as_bytes()));
    finish_child(child).ended_with(0);
}

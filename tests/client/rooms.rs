//! The modes `listen` and `say`, and news in scripts and in the shell, with servers whose messages
//! are fixed here.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::Stdio;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;

use serde_json::Value;

use crate::originals;
use crate::our_server::Server;
use crate::runs::{Run, client, finish_child, run, run_script};
use crate::support::behaviour::{SilentPort, hold, serve, serve_on};
use crate::support::program::{DEADLINE, PrintedLines};
use crate::support::wait::wait_until;
use crate::terminal::Terminal;

/// A server of text with rooms. It sends `news` after each `JOIN`, and its answers to `SAY` count
/// up. It refuses the room `closed` and the text `refused`.
fn rooms(news: &'static [u8]) -> String {
    format!("text://127.0.0.1:{}", serve(move |stream| drop(session(stream, news, hold))))
}

fn session(
    mut stream: TcpStream,
    news: &[u8],
    after_join: impl Fn(TcpStream),
) -> std::io::Result<()> {
    stream.write_all(b"WELCOME\n")?;
    let mut said = 0;
    for line in BufReader::new(stream.try_clone()?).split(b'\n') {
        let line = line?;
        let answer: Vec<u8> = match line.iter().position(|byte| *byte == b' ') {
            Some(4) if line == b"JOIN closed" => b"ERROR BAD_NAME\n".to_vec(),
            Some(4) if line.starts_with(b"JOIN") => {
                stream.write_all(&[b"JOINED ", &line[5..], b"\n", news].concat())?;
                if !news.is_empty() {
                    after_join(stream);
                    return Ok(());
                }
                continue;
            }
            Some(4) => [&line, &b"\n"[..]].concat(),
            Some(3) if line == b"SAY refused" => b"ERROR TOO_FAST\n".to_vec(),
            Some(3) => {
                said += 1;
                format!("FROM other [{}]\nSAID {said}\n", line[4..].escape_ascii()).into_bytes()
            }
            _ => b"BYE\n".to_vec(),
        };
        stream.write_all(&answer)?;
    }
    Ok(())
}

#[track_caller]
fn complains(run: &Run, code: i32, word: &str) {
    assert_eq!(run.code, Some(code), "{run:?}");
    run.complaining_in_one_line("tinytcp-client").saying(word);
}

#[test]
fn listen_prints_each_message_until_the_count() {
    let url = rooms(b"FROM ana hi \xff\nMISSED 3\nFROM bo  two\nFROM ana never\n");
    let run = run(&[&url, "listen", "lobby", "--count", "2", "--nick", "me"]);
    assert_eq!(run.ended_with(0).stdout, b"FROM ana hi \xff\nMISSED 3\nFROM bo  two\n");
}

#[test]
fn listen_prints_objects_with_the_time() {
    let url = rooms(b"FROM ana hi \"there\"\nMISSED 3\nFROM bo \xff\n");
    let run = run(&[&url, "listen", "lobby", "--count", "2", "--json"]);
    let objects: Vec<Value> = run
        .ended_with(0)
        .text()
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    let [hi, missed, bytes] = &objects[..] else { panic!("{run:?}") };
    assert_eq!((&hi["from"], &hi["text"]), (&"ana".into(), &"hi \"there\"".into()));
    assert_eq!((&missed["missed"], &missed["from"]), (&3.into(), &Value::Null));
    assert_eq!((&bytes["from"], &bytes["text_hex"]), (&"bo".into(), &"ff".into()));
    for object in &objects {
        assert_eq!(object["room"], "lobby");
        assert!(object["time"].as_str().expect("a time").ends_with('Z'), "{object}");
    }
}

#[test]
fn listen_prints_a_message_before_the_next_arrives() {
    let url = rooms(b"FROM ana hi\n");
    let mut child = client(&[&url, "listen", "lobby"]).spawn().expect("the client starts");
    let mut lines = PrintedLines::of(child.stdout.take().expect("piped"));
    assert_eq!(lines.next().as_deref(), Some("FROM ana hi"));
    child.kill().and_then(|()| child.wait()).expect("our child");
}

#[test]
fn listen_ends_after_its_time() {
    let url = rooms(b"FROM ana hi\n");
    let all = run(&[&url, "listen", "lobby", "--for", "2s"]);
    all.ended_with(0).printing("FROM ana hi\n");
    let too_few = run(&[&url, "listen", "lobby", "--for", "2s", "--count", "2"]);
    too_few.ended_with(1).printing("FROM ana hi\n");
}

#[test]
fn listen_reads_binary_and_chat_alike() {
    let binary = serve(|mut stream| {
        let _ = stream.read_exact(&mut [0; 10]);
        let _ = stream.write_all(b"\x10\0\0\0\x05lobby\x13\0\0\0\x06ana hi\x17\0\0\0\x013");
        let _ = stream.write_all(b"\x13\0\0\0\x06bo two");
        hold(stream);
    });
    let chat = serve(|mut stream| {
        let _ = stream.read_exact(&mut [0; b"/join lobby\n".len()]);
        let _ = stream.write_all(b"Joined lobby as me.\nana: hi\nMissed 3 messages.\nbo: two\n");
        hold(stream);
    });
    for url in [format!("binary://127.0.0.1:{binary}"), format!("chat://127.0.0.1:{chat}")] {
        let run = run(&[&url, "listen", "lobby", "--count", "2"]);
        run.ended_with(0).printing("FROM ana hi\nMISSED 3\nFROM bo two\n");
    }
}

#[test]
fn listen_reports_why_it_could_not_go_on() {
    let ended = serve(|stream| drop(session(stream, b"FROM ana hi\nBYE\n", drop)));
    let ended = run(&[&format!("text://127.0.0.1:{ended}"), "listen", "lobby"]);
    complains(&ended, 4, "the server closed the connection");
    ended.saying("BYE").printing("FROM ana hi\n");
    complains(&run(&[&rooms(b""), "listen", "closed"]), 1, "refused JOIN with ERROR BAD_NAME");
    let original = format!("text://127.0.0.1:{}", originals::text());
    complains(&run(&[&original, "listen", "lobby"]), 1, "has no rooms");
    complains(&run(&["echo://127.0.0.1:1", "listen", "lobby"]), 2, "has no rooms");
    let nothing = SilentPort::new();
    let nothing = format!("text://127.0.0.1:{}", nothing.number);
    complains(&run(&[&nothing, "listen", "lobby", "--reconnect"]), 3, "refused");
}

#[test]
fn a_server_without_rooms_is_noticed_at_the_join() {
    let chat = format!("chat://127.0.0.1:{}", originals::chat());
    let text = format!("chat://127.0.0.1:{}", originals::text());
    for (url, answer) in [(&chat, "'ACK: Received '/join lobby"), (&text, "'WELCOME")] {
        for words in [&["listen", "lobby"][..], &["say", "lobby", "hi"]] {
            let run = run(&[&[url.as_str()][..], words].concat());
            complains(&run, 1, "no rooms, or does not speak chat");
            run.saying(answer).printing("");
        }
    }
}

#[test]
fn listen_connects_again_when_asked_to() {
    let connections = AtomicUsize::new(0);
    let port = serve(move |stream| match connections.fetch_add(1, Ordering::Relaxed) {
        0 => drop(session(stream, b"FROM ana one\n", drop)),
        1 => drop((&stream).write_all(b"ERROR SERVER_BUSY\n")),
        _ => drop(session(stream, b"FROM ana two\n", hold)),
    });
    let url = format!("text://127.0.0.1:{port}");
    let run = run(&[&url, "listen", "lobby", "--reconnect", "--count", "2"]);
    assert_eq!(run.code, Some(0), "{run:?}");
    run.complaining_in_one_line("tinytcp-client").saying("connecting again");
    run.printing("FROM ana one\nFROM ana two\n");
}

#[test]
fn say_sends_a_text_and_prints_its_answer() {
    let said = run(&[&rooms(b""), "say", "lobby", "Hello,", "all", "--nick", "me"]);
    said.ended_with(0).printing("SAID 1\n");
}

#[test]
fn say_sends_each_line_of_stdin() {
    let url = rooms(b"");
    run_script(&[&url, "say", "lobby"], b"one\n\ntwo \xff")
        .ended_with(0)
        .printing("SAID 1\nSAID 2\n");
    let refused = run_script(&[&url, "say", "lobby"], b"one\nrefused\ntwo\n");
    refused.ended_with(1).printing("SAID 1\nERROR TOO_FAST\nSAID 2\n");
    complains(&run(&[&url, "say", "closed", "hi"]), 1, "refused JOIN with ERROR BAD_NAME");
}

#[test]
fn say_sends_no_text_under_another_name_than_its_own() {
    let (send, sent) = mpsc::channel();
    let port = serve(move |mut stream| {
        let _ = stream.write_all(b"WELCOME\n");
        let _ = stream.read_exact(&mut [0; b"NICK me\n".len()]);
        let _ = stream.write_all(b"ERROR BAD_NAME\n");
        let mut rest = String::new();
        let _ = stream.read_to_string(&mut rest);
        let _ = send.send(rest);
    });
    let url = format!("text://127.0.0.1:{port}");
    complains(&run(&[&url, "say", "lobby", "hi", "--nick", "me"]), 1, "refused NICK");
    assert_eq!(sent.recv_timeout(DEADLINE).as_deref(), Ok(""));
}

#[test]
fn a_script_prints_news_between_its_answers() {
    let run = run_script(&[&rooms(b"")], b"JOIN lobby\nSAY hi\nQUIT\n");
    run.ended_with(0).printing("JOINED lobby\nFROM other [hi]\nSAID 1\nBYE\n");
}

#[test]
fn a_script_that_waits_for_input_prints_news_at_once() {
    let url = rooms(b"FROM ana hi\n");
    let mut child = client(&[&url]).stdin(Stdio::piped()).spawn().expect("the client starts");
    let mut stdin = child.stdin.take().expect("piped");
    stdin.write_all(b"JOIN lobby\n").expect("it reads");
    let mut lines = PrintedLines::of(child.stdout.take().expect("piped"));
    for expected in ["JOINED lobby", "FROM ana hi"] {
        assert_eq!(lines.next().as_deref(), Some(expected));
    }
    drop(stdin);
    assert_eq!(finish_child(child).code, Some(0));
    assert_eq!(lines.count(), 0);
}

#[test]
fn the_shell_shows_news_beside_answers() {
    let run = run_script(&[&rooms(b""), "shell"], b"JOIN lobby\nSAY hi\nQUIT\n");
    assert!(
        run.ended_with(0)
            .text()
            .ends_with("<- JOINED lobby\n<- FROM other [hi]\n<- SAID 1\n<- BYE\n"),
        "{run:?}"
    );
}

#[test]
#[ignore = "needs a terminal, which `script` from util-linux provides"]
fn on_a_terminal_news_do_not_break_the_line_being_typed() {
    let (send, may_send) = mpsc::channel::<()>();
    let may_send = std::sync::Mutex::new(may_send);
    let port = serve(move |stream| {
        drop(session(stream, b"FROM ana one\n", |mut stream| {
            let _ = may_send.lock().expect("no panic").recv();
            let _ = stream.write_all(b"FROM ana \x1b[2Jtwo\n");
            let mut line = String::new();
            let _ = BufReader::new(stream.try_clone().expect("open")).read_line(&mut line);
            let _ = stream.write_all(format!("[{}]\n", line.trim_end()).as_bytes());
            hold(stream);
        }));
    });
    let mut terminal = Terminal::start(&format!("text://127.0.0.1:{port}"));
    terminal.wait_for("-> ");
    terminal.type_keys("JOIN lobby\r");
    terminal.wait_for("<- FROM ana one\r\n");
    terminal.wait_for("-> ");
    terminal.type_keys("ECHO half");
    terminal.wait_for("half");
    send.send(()).expect("the server waits");
    terminal.wait_for("<- FROM ana \\x1b[2Jtwo\r\n");
    // The editor draws the prompt and the line again after the message.
    terminal.wait_for("-> ECHO half");
    terminal.type_keys(" done\r");
    terminal.wait_for("<- [ECHO half done]\r\n");
    // Between two prompts the terminal is not raw: Ctrl-D would arrive as a zero byte.
    terminal.wait_for("-> ");
    terminal.type_keys("\x04");
    assert_eq!(terminal.finish(), Some(0));
}

#[test]
#[ignore = "needs a terminal, which `script` from util-linux provides"]
fn on_a_terminal_a_line_is_sent_while_news_never_end() {
    let (send, sent) = mpsc::channel();
    let port = serve(move |stream| {
        let send = send.clone();
        drop(session(stream, b"FROM ana one\n", |stream| {
            let mut flood = stream.try_clone().expect("open");
            thread::spawn(move || while flood.write_all(b"FROM ana more\n").is_ok() {});
            for line in BufReader::new(stream).lines().map_while(Result::ok) {
                let _ = send.send(line);
            }
        }));
    });
    let mut terminal = Terminal::start(&format!("text://127.0.0.1:{port}"));
    terminal.wait_for("-> ");
    terminal.type_keys("JOIN lobby\r");
    terminal.wait_for("<- FROM ana more\r\n");
    for number in 0..3 {
        terminal.type_keys(&format!("ECHO {number}\r"));
        assert_eq!(sent.recv_timeout(DEADLINE), Ok(format!("ECHO {number}")));
    }
    terminal.type_keys("\x03");
    assert_eq!(terminal.finish(), Some(0));
}

#[test]
fn words_and_flags_of_rooms_are_checked() {
    for arguments in [
        &["listen"][..],
        &["listen", "lobby", "more"],
        &["say"],
        &["say", "lobby", "a\nb"],
        &["say", "lobby", ""],
        &["say", "lobby", " ", "\t"],
        &["say", "lobby", "--count", "1"],
        &["listen", "lobby", "-e", "TIME"],
        &["-e", "TIME", "--nick", "me"],
        &["status", "--reconnect"],
    ] {
        complains(&run(arguments), 2, "");
    }
}

#[test]
fn listen_notices_a_server_that_is_back() {
    let place = SilentPort::new();
    let url = format!("text://127.0.0.1:{}", place.number);
    let child = client(&[&url, "listen", "lobby", "--count", "1", "--wait", "30s"])
        .spawn()
        .expect("the client starts");
    serve_on(place.listen(), |stream| drop(session(stream, b"FROM ana hi\n", hold)));
    let run = finish_child(child);
    assert_eq!(run.code, Some(0), "{run:?}");
    run.printing("FROM ana hi\n");
}

#[test]
fn members_of_our_server_receive_messages_of_each_other() {
    for protocol in ["text", "binary", "chat"] {
        let server = Server::start(protocol, &[]);
        let mut listeners = ["ana", "bo"].map(|nick| {
            client(&[&server.url, "listen", "lobby", "--count", "1", "--nick", nick])
                .spawn()
                .expect("the client starts")
        });
        // Nothing announces that a member has joined, so the message is repeated until both members
        // have received it.
        wait_until("both members receive a message", || {
            server.client(&["say", "lobby", "Hello,", "all"]).ended_with(0);
            listeners.iter_mut().all(|child| child.try_wait().expect("ours").is_some())
        });
        for child in listeners {
            let run = finish_child(child);
            let text = run.ended_with(0).text();
            assert!(text.starts_with("FROM guest-") && text.ends_with(" Hello, all\n"), "{text}");
        }
    }
}

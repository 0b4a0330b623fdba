//! The data of requests: values, messages from files, a reply for each message, and scripts.

use std::collections::BTreeSet;
use std::fs;
use std::sync::{Arc, Mutex};

use crate::runs::{Scratch, measure, refuses};
use crate::servers::{Answer, lines, right, session, text};
use crate::support::behaviour::serve;

/// The lines that a server has received, without their ends.
type Received = Arc<Mutex<Vec<String>>>;

/// Serves lines with `answer`, and keeps them. Returns the address.
fn keeping(answer: impl Fn(&str) -> String + Send + Sync + 'static) -> (String, Received) {
    let received = Received::default();
    let kept = Arc::clone(&received);
    let address = lines(move |line| {
        let line = String::from_utf8_lossy(line).trim_end().to_owned();
        let answer = answer(&line);
        kept.lock().expect("no thread panics").push(line);
        Answer::Bytes(answer.into_bytes())
    });
    (address, received)
}

fn echoing() -> (String, Received) {
    keeping(|line| format!("{line}\n"))
}

fn sorted(received: &Received) -> Vec<String> {
    let mut lines = received.lock().expect("no thread panics").clone();
    lines.sort_unstable();
    lines
}

/// A file with this text, removed when dropped.
fn file(text: &str) -> Scratch {
    let file = Scratch::new("txt");
    fs::write(file.path(), text).expect("a writable folder");
    file
}

#[test]
fn each_message_has_its_own_reply() {
    let (address, _) = keeping(|line| if line == "A" { "X\n".into() } else { "Y\n".into() });
    let two = ["--raw", "-m", r"A\n", "--expect", r"X\n", "-m", r"B\n", "--expect"];
    let run = |last| measure(&[&[&address[..]], &two[..], &[last, "-n", "40", "-c", "1"]].concat());
    run(r"Y\n").is_flawless();
    run(r"X\n").only_error("wrong", 20);
}

#[test]
fn values_are_those_of_the_request_and_its_connection() {
    let (address, received) = echoing();
    for (threads, depth) in [("1", "1"), ("3", "4")] {
        received.lock().expect("no thread panics").clear();
        measure(&[
            &address,
            "--raw",
            "-m",
            r"{n} {c} {{\x7b}\n",
            "-n",
            "90",
            "-c",
            "3",
            "--threads",
            threads,
            "-P",
            depth,
        ])
        .is_flawless();
        let lines = sorted(&received);
        let words = |line: &String| {
            let [number, connection, braces] = line.split(' ').collect::<Vec<_>>()[..] else {
                panic!("{line}")
            };
            assert_eq!(braces, "{{}");
            (number.parse::<usize>().expect(line), connection.parse::<usize>().expect(line))
        };
        let all: Vec<(usize, usize)> = lines.iter().map(words).collect();
        let numbers: BTreeSet<usize> = all.iter().map(|(number, _)| *number).collect();
        assert_eq!(numbers, (0..90).collect(), "{threads} threads");
        let connections: BTreeSet<usize> = all.iter().map(|(_, connection)| *connection).collect();
        assert_eq!(connections, (0..3).collect());
    }
}

#[test]
fn a_seed_determines_the_random_values() {
    let requests = |seed: &str| {
        let (address, received) = keeping(|line| line.replace("SET", "OK") + "\n");
        let run = measure(&[
            &address,
            "--raw",
            "-m",
            r"SET {n} {rand:8} {hex:4}\n",
            "--expect",
            r"OK {n} {rand:8} {hex:4}\n",
            "-n",
            "20",
            "-c",
            "2",
            "--seed",
            seed,
        ]);
        assert_eq!(run.is_flawless().number("asked.seed_number").to_string(), seed);
        sorted(&received)
    };
    let first = requests("5");
    assert_eq!(first, requests("5"));
    assert_ne!(first, requests("6"));
    for line in first {
        let words: Vec<&str> = line.split(' ').collect();
        assert_eq!([words[2].len(), words[3].len()], [8, 4], "{line}");
    }
}

#[test]
fn a_wrong_value_in_a_reply_is_an_error() {
    let (address, _) =
        keeping(|line| if line == "a7" { "a8\n".into() } else { format!("{line}\n") });
    let run = measure(&[&address, "--raw", "-m", r"a{n}\n", "-n", "20", "-c", "1"]);
    run.only_error("wrong", 1);
    let exchange = &run["exchanges"][0];
    let shown = ["sent", "expected", "got"].map(|key| exchange[key].as_str().expect(key));
    assert_eq!(shown, [r"a7\n", r"a7\n", r"a8\n"]);
}

#[test]
fn a_repeated_reply_with_values_is_surplus() {
    let (address, _) = keeping(|line| {
        let again = if line == "a7" { "a6\n" } else { "" };
        format!("{again}{line}\n")
    });
    let run = measure(&[&address, "--raw", "-m", r"a{n}\n", "-n", "20", "-c", "1"]);
    run.only_error("surplus", 1);
    assert_eq!(run.count("replies.correct"), 20, "{run:?}");
}

#[test]
fn the_protocols_take_values() {
    let run = measure(&[&text(right), "-m", "ECHO {n} {rand:3}", "-n", "40", "-c", "2"]);
    run.is_flawless();
    let port = serve(|stream| drop(frames(stream)));
    let url = format!("binary://127.0.0.1:{port}");
    measure(&[&url, "-m", "echo {n}{{", "-n", "200", "-c", "2", "-P", "3"]).is_flawless();
    refuses(&[&url, "-m", "rev {n}"], 2, "`rev` takes no values");
}

/// Sends back each frame of bytes.
fn frames(mut stream: std::net::TcpStream) -> std::io::Result<()> {
    use std::io::{Read, Write};
    let mut header = [0; 5];
    loop {
        stream.read_exact(&mut header)?;
        let [_, a, b, c, d] = header;
        let mut payload = vec![0; u32::from_be_bytes([a, b, c, d]) as usize];
        stream.read_exact(&mut payload)?;
        stream.write_all(&[&header[..], &payload].concat())?;
    }
}

#[test]
fn messages_and_replies_can_come_from_files() {
    let (address, received) = keeping(|line| format!("<{line}>\n"));
    let (messages, replies) = (file("a\\n\nb{n}\\n\n"), file("<a>\\n\n<b{n}>\\n\n"));
    let [messages, replies] = [&messages, &replies].map(|file| format!("@{}", file.path()));
    measure(&[
        &address, "--raw", "-m", &messages, "-m", r"@@c\n", "--expect", &replies, "--expect",
        r"<@c>\n", "-n", "30", "-c", "1",
    ])
    .is_flawless();
    let lines = sorted(&received);
    let count = |start: &str| lines.iter().filter(|line| line.starts_with(start)).count();
    assert_eq!(["a", "b", "@c"].map(count), [10, 10, 10], "{lines:?}");
}

#[test]
fn a_script_logs_in_once_and_repeats_its_steps_in_order() {
    let sessions: Arc<Mutex<Vec<Vec<String>>>> = Arc::default();
    let kept = Arc::clone(&sessions);
    let port = serve(move |stream| {
        let session_lines = Mutex::new(Vec::new());
        let _ = session(stream, b"hi\n", |line| {
            let line = String::from_utf8_lossy(line).trim_end().to_owned();
            let answer = match line.split(' ').next() {
                Some("AUTH") => "welcome\n".to_owned(),
                Some("SET") => "OK\n".to_owned(),
                _ => format!("value of {line}\n"),
            };
            session_lines.lock().expect("no thread panics").push(line);
            Answer::Bytes(answer.into_bytes())
        });
        let lines = session_lines.into_inner().expect("no thread panics");
        kept.lock().expect("no thread panics").push(lines);
    });
    let script = file(
        "# a session\nonce send AUTH user{c}\\n\nexpect welcome\\n\nsend SET k{n} {hex:4}\\n\n\
         expect OK\\n\nsleep 1ms\nsend GET k{n}\nsend  {hex:4}\\n\nexpect-end \\n\n",
    );
    let address = format!("127.0.0.1:{port}");
    let session = ["--raw", "--script", script.path(), "--greeting", r"hi\n"];
    let lifetime = ["-n", "24", "-c", "1", "--lifetime", "6"];
    let run = measure(&[&[&address[..]], &session[..], &lifetime].concat());
    run.is_flawless();
    // The login is in no count.
    assert_eq!((run.count("requests.sent"), run.count("replies.correct")), (24, 24), "{run:?}");
    crate::support::wait::wait_until("all sessions end", || {
        sessions.lock().expect("no thread panics").iter().map(Vec::len).sum::<usize>() == 24 + 4
    });
    let sessions = sessions.lock().expect("no thread panics");
    assert_eq!(sessions.len(), 4, "{sessions:?}");
    let mut keys = BTreeSet::new();
    for lines in &*sessions {
        assert!(lines[0] == "AUTH user0" && lines.len() == 7, "{lines:?}");
        for pass in lines[1..].chunks(2) {
            let (set, get) = (&pass[0], &pass[1]);
            assert_eq!(set.strip_prefix("SET "), get.strip_prefix("GET "), "{lines:?}");
            keys.insert(set.clone());
        }
    }
    assert_eq!(keys.len(), 12, "each pass has values of its own: {sessions:?}");
}

#[test]
fn a_failed_login_is_an_error_that_ends_the_connection() {
    let (address, received) = keeping(|_| "denied\n".into());
    let script = file("once send AUTH\\n\nexpect welcome\\n\nsend PING\\n\nexpect PONG\\n\n");
    let run = measure(&[&address, "--raw", "--script", script.path(), "-c", "1", "-d", "200ms"]);
    run.exits_with(1).all_zero("errors", &["wrong"]);
    assert!(sorted(&received).iter().all(|line| line == "AUTH"), "{run:?}");
    assert_eq!(run.count("requests.sent"), 0);
    assert_eq!(run["exchanges"][0]["expected"], r"welcome\n");
}

#[test]
fn wrong_data_is_refused_with_a_remedy() {
    let raw = ["--raw", "127.0.0.1:1"];
    let broken = file("send A\\n\nwait 5\n");
    for (arguments, part) in [
        (&["-m", "{x}"][..], "'{x' is no value"),
        (&["-m", "a{"], "write {{ for {"),
        (&["-m", "a", "-m", "b", "-m", "c", "--expect", "x", "--expect", "y"], "3 messages have 2"),
        (&["-m", "a", "--expect", "{rand:0}"], "1 to 64"),
        (&["-m", "a", "--expect", "", "-m", "b", "--expect", "y"], "others have none"),
        (&["-m", "@/nonexistent/file"], "cannot read /nonexistent/file"),
        (&["--script", "/nonexistent/file"], "cannot read /nonexistent/file"),
        (&["--script", broken.path()], "line 2: a line is `send BYTES`"),
        (&["--script", broken.path(), "-m", "a"], "cannot be used with"),
    ] {
        refuses(&[&raw[..], arguments].concat(), 2, part);
    }
    let sleeping = file("send A\\n\nsleep 1ms\n");
    refuses(&[&raw[..], &["--script", sleeping.path(), "-R", "5"]].concat(), 2, "closed loop");
    let once = file("once send A{n}\nexpect B\nsend C\nexpect D\n");
    refuses(&[&raw[..], &["--script", once.path()]].concat(), 2, "has no {n}");
    refuses(&["text://127.0.0.1:1", "-m", "ECHO {x}"], 2, "is no value");
}

//! Commands in documents and their output. They are run, and the shape of their output is compared.

use super::peer::Peer;
use super::program::finish;
use super::server::{Server, without_settings};
use std::process::{Command, Stdio};

/// One command of a `console` block, and the lines under it.
pub struct Console {
    /// The line of the document with the command.
    pub line: usize,
    pub command: String,
    pub output: Vec<String>,
}

/// A line of a document that stands for any number of lines.
const ANY_LINES: &str = "...";

/// The units that belong to the number before them.
const UNITS: [&str; 10] = ["ns", "us", "ms", "s", "%", "B", "KiB", "MiB", "MiB/s", "KiB/s"];

/// The duration of a run of the load generator. Its figures are not compared.
const LOAD_DURATION: &str = "1s";

/// The commands in the `console` blocks of a document.
pub fn read(text: &str) -> Vec<Console> {
    let mut consoles: Vec<Console> = Vec::new();
    let mut is_console = false;
    for (index, line) in text.lines().enumerate() {
        if line.starts_with("```") {
            is_console = line == "```console";
        } else if let Some(command) = line.strip_prefix("$ ").filter(|_| is_console) {
            let command = command.to_owned();
            consoles.push(Console { line: index + 1, command, output: Vec::new() });
        } else if is_console {
            let console = consoles.last_mut().expect("a block begins with a command");
            console.output.push(line.to_owned());
        }
    }
    consoles
}

/// Returns the output of `command` with `server` in the place of one on the default ports.
pub fn run(command: &str, server: &Server) -> String {
    if let Some((input, target)) = command.split_once(" | nc -N 127.0.0.1 ") {
        let [printf, input] = &words(input)[..] else { panic!("{command}: printf and a text") };
        assert_eq!(printf, "printf");
        return pour(input.replace("\\n", "\n").as_bytes(), target, server);
    }
    let words = words(command.trim_start_matches("cargo run --release --bin "));
    let (name, arguments) = words.split_first().expect("a command");
    let program = match name.as_str() {
        "tinytcp-client" => env!("CARGO_BIN_EXE_tinytcp-client"),
        "tinytcp-load" => env!("CARGO_BIN_EXE_tinytcp-load"),
        _ => panic!("{command} names no program of ours"),
    };
    let mut arguments: Vec<String> =
        arguments.iter().filter(|argument| *argument != "--").cloned().collect();
    let protocol = arguments.first().and_then(|first| first.split_once("://"));
    let protocol = protocol.map(|(protocol, _)| protocol.to_owned());
    if protocol.is_some() {
        arguments.remove(0);
    }
    let protocol = protocol.unwrap_or("text".into());
    if let Some(flag) = arguments.iter().position(|argument| argument == "-d") {
        arguments[flag + 1] = LOAD_DURATION.into();
    }
    let mut command = without_settings(Command::new(program));
    command.arg(format!("{protocol}://{}", server.address(&protocol))).args(arguments);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let ended = finish(command);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let port = server.address(&protocol).port().to_string();
    ended.text().replace(&port, default_port(&protocol))
}

fn default_port(protocol: &str) -> &'static str {
    match protocol {
        "text" => "40000",
        "binary" => "65432",
        "echo" => "8888",
        "chat" => "9999",
        _ => panic!("{protocol} is no protocol"),
    }
}

/// Returns the reply to `input`, as with `nc -N`, of the protocol whose default port is `port`.
fn pour(input: &[u8], port: &str, server: &Server) -> String {
    let protocol = match port {
        "40000" => "text",
        "8888" => "echo",
        "9999" => "chat",
        _ => panic!("{port} is no default port of lines"),
    };
    let mut peer = Peer::connect(server.address(protocol));
    peer.send(input);
    peer.half_close();
    String::from_utf8_lossy(&peer.read_to_end()).into_owned()
}

/// Returns the words of a command line, some of which are in single quotes.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    for (index, part) in line.split('\'').enumerate() {
        match index % 2 {
            0 => words.extend(part.split_ascii_whitespace().map(str::to_owned)),
            _ => words.push(part.to_owned()),
        }
    }
    words
}

/// The printed lines must have the shape of the expected ones: the same words, and a number with
/// its unit at the same places.
///
/// The verdict of the load generator depends on the machine, and its lines wrap at a place that
/// depends on the width of its figures. It is compared as one line, and only if it is the expected
/// verdict.
#[track_caller]
pub fn check(printed: &str, expected: &[String]) {
    let (printed_shapes, expected_shapes) = (shapes(printed.lines()), shapes(expected));
    let mut at = 0;
    for (index, part) in expected_shapes.split(|line| line == ANY_LINES).enumerate() {
        let starts = if index == 0 { at..at + 1 } else { at..printed_shapes.len() + 1 };
        let fits = |start: &usize| {
            let lines = printed_shapes.get(*start..).unwrap_or_default();
            lines.len() >= part.len()
                && part.iter().zip(lines).all(|(part, line)| is_like(line, part))
        };
        let start = starts.into_iter().find(fits);
        let start = start.unwrap_or_else(|| panic!("{part:#?} is missing in\n{printed}"));
        at = start + part.len();
    }
    let may_go_on = expected_shapes.last().is_some_and(|line| line == ANY_LINES);
    assert!(may_go_on || at == printed_shapes.len(), "more than is expected:\n{printed}");
}

/// The beginning of a verdict.
const VERDICT: &str = "Verdict";

/// True exactly when two shapes are equal, or are two different verdicts.
fn is_like(printed: &str, expected: &str) -> bool {
    let verdict =
        |line: &str| line.strip_prefix(VERDICT)?.split_ascii_whitespace().next().map(str::to_owned);
    match (verdict(printed), verdict(expected)) {
        (Some(printed), Some(expected)) if printed != expected => true,
        (Some(_), Some(_)) => printed.starts_with(expected),
        _ => printed == expected,
    }
}

/// Returns the shapes of lines, with the lines of a verdict joined.
fn shapes(lines: impl IntoIterator<Item = impl AsRef<str>>) -> Vec<String> {
    let mut joined: Vec<String> = Vec::new();
    for line in lines {
        let line = line.as_ref();
        match joined.last_mut() {
            Some(last) if last.starts_with(VERDICT) && line.starts_with("   ") => {
                last.push_str(line)
            }
            _ => joined.push(line.to_owned()),
        }
    }
    joined.iter().map(|line| shape(line)).collect()
}

/// Returns a line without its figures: `#` stands for a number and its unit, or for a time.
fn shape(line: &str) -> String {
    let mut words: Vec<&str> = Vec::new();
    for word in line.split_ascii_whitespace() {
        let is_number =
            word.trim_start_matches(['(', '-']).starts_with(|c: char| c.is_ascii_digit());
        let is_unit = words.last() == Some(&"#") && UNITS.contains(&word.trim_end_matches(','));
        if is_number {
            words.push("#");
        } else if !is_unit {
            words.push(word);
        }
    }
    words.join(" ")
}

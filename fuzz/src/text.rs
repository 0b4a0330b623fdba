//! A session of `text`.

use tinytcp::close_reason::CloseReason;
use tinytcp::limits::Limits;
use tinytcp::protocol::text::Text;
use tinytcp::testing::{Outcome, clock};

use crate::talk;

/// Every line has one answer in one line, or none where its page says so, whatever stands in it.
pub fn check(data: &[u8]) {
    talk::check(&Text::new(), data, |limits, bursts| oracle(limits, &bursts.concat()));
}

fn oracle(limits: &Limits, input: &[u8]) -> Outcome {
    let line_max = limits.line_bytes_max as usize;
    let mut answers = String::new().into_bytes();
    for line in input.split_inclusive(|byte| *byte == b'\n') {
        let is_whole = line.ends_with(b"\n");
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let (answer, closed) = match is_whole {
            _ if line.len() > line_max && begins_as_http(line) => {
                (b"ERROR NOT_HTTP".to_vec(), Some(CloseReason::WrongProtocol))
            }
            _ if line.len() > line_max => (b"ERROR LINE_TOO_LONG".to_vec(), None),
            true => answer(line),
            false => continue,
        };
        if !answer.is_empty() {
            answers.extend(answer);
            answers.push(b'\n');
        }
        if closed.is_some() {
            return Outcome { answers, closed };
        }
    }
    Outcome { answers, closed: None }
}

/// The answer to one line, empty where there is none, and why it is the last one if it is.
fn answer(line: &[u8]) -> (Vec<u8>, Option<CloseReason>) {
    let (word, argument) = words(line);
    let answer = match word.to_ascii_uppercase().as_slice() {
        b"" => Vec::new(),
        b"TIME" => format!("TIME {}", clock().date_and_time()).into(),
        b"ECHO" if argument.is_empty() => b"ERROR BAD_ARGUMENTS".to_vec(),
        b"ECHO" => [b"ECHO ", argument].concat(),
        b"HELP" => b"HELP COMMANDS: TIME | ECHO <TEXT> | HELP | QUIT".to_vec(),
        b"QUIT" => return (b"BYE".to_vec(), Some(CloseReason::Quit)),
        _ if is_http(line, &word, argument) => {
            return (b"ERROR NOT_HTTP".to_vec(), Some(CloseReason::WrongProtocol));
        }
        _ => b"ERROR UNKNOWN_COMMAND".to_vec(),
    };
    (answer, None)
}

/// The first word, freed from telnet negotiation, and what follows it without the blanks at both
/// ends.
fn words(line: &[u8]) -> (Vec<u8>, &[u8]) {
    let mut line = trim(line);
    let mut word = Vec::new();
    loop {
        line = match line {
            [0xff, 0xfb..=0xfe, _option, behind @ ..] => behind,
            [0xff, 0xfb..=0xfe] => &[],
            [0xff, 0xfa, behind @ ..] => {
                let end = behind
                    .windows(2)
                    .position(|pair| pair == [0xff, 0xf0])
                    .map_or(behind.len(), |end| end + 2);
                &behind[end..]
            }
            [0xff, 0xf0..=0xf9 | 0xff, behind @ ..] | [0xff, behind @ ..] => behind,
            [b' ' | b'\t', behind @ ..] if word.is_empty() => behind,
            [] | [b' ' | b'\t', ..] => return (word, trim(line)),
            [byte, behind @ ..] => {
                word.push(*byte);
                behind
            }
        };
    }
}

fn trim(mut line: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = line {
        line = rest;
    }
    line
}

fn is_http(line: &[u8], word: &[u8], argument: &[u8]) -> bool {
    let last =
        trim(line).split(|byte| matches!(byte, b' ' | b'\t')).next_back().unwrap_or_default();
    last.to_ascii_uppercase().starts_with(b"HTTP/") || is_request(word, argument)
}

fn begins_as_http(line: &[u8]) -> bool {
    let (word, argument) = words(&line[..line.len().min(32)]);
    let is_command = ["TIME", "ECHO", "HELP", "QUIT"]
        .iter()
        .any(|key| word.eq_ignore_ascii_case(key.as_bytes()));
    let has_path =
        argument.starts_with(b"/") && word.iter().all(u8::is_ascii_alphabetic) && !is_command;
    is_request(&word, argument) || has_path
}

fn is_request(word: &[u8], argument: &[u8]) -> bool {
    let methods =
        ["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", "PRI"];
    !argument.is_empty() && methods.iter().any(|method| method.as_bytes() == word)
}

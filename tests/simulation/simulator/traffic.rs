//! The bytes that clients send: complete messages of each protocol, fragments, and other protocols.

use super::choices::Choices;
use super::oracle::binary::frame;
use super::oracle::{Bounds, Language};

/// Returns complete messages of at least `len_min` bytes together. The server runs some of them and
/// refuses others.
pub fn messages(
    language: Language,
    bounds: Bounds,
    len_min: usize,
    choices: &mut Choices,
) -> Vec<u8> {
    // Many equal messages are a flood. Mixed ones would cost the oracle more than they find.
    if len_min > 2000 {
        let one = message(language, bounds, choices);
        return one.repeat(len_min.div_ceil(one.len()));
    }
    let mut bytes = message(language, bounds, choices);
    while bytes.len() < len_min {
        bytes.extend(message(language, bounds, choices));
    }
    bytes
}

/// Returns more copies of one message than a turn can run. Short messages are fewer, because the
/// oracle is slow.
pub fn flood(language: Language, bounds: Bounds, choices: &mut Choices) -> Vec<u8> {
    let one = message(language, bounds, choices);
    let len = if one.len() > 300 { 600_000 } else { 20_000 };
    one.repeat(len / one.len() + 1)
}

/// Returns one complete message that does not end the conversation.
pub fn message(language: Language, bounds: Bounds, choices: &mut Choices) -> Vec<u8> {
    match language {
        Language::Text => line(command(bounds, choices), choices),
        Language::Binary => any_frame(bounds, choices),
        Language::Admin => request(choices),
        Language::Echo | Language::Chat => {
            let words = words(bounds, choices);
            line(words, choices)
        }
    }
}

/// Returns the message that ends the conversation; `echo` and `http`
/// have none.
pub fn farewell(language: Language, choices: &mut Choices) -> Vec<u8> {
    match language {
        Language::Text => choices.pick(&[&b"QUIT\n"[..], b"quit now\r\n", b" \t Quit \n"]).to_vec(),
        Language::Binary => choices.pick(&[&b"\x03\0\0\0\0"[..], b"\x03\xff\xff\xff\xff"]).to_vec(),
        Language::Echo | Language::Admin => Vec::new(),
        Language::Chat => choices.pick(&[&b"exit\n"[..], b"EXIT\r\n"]).to_vec(),
    }
}

/// Returns the beginning of a message that never ends, or that claims more bytes than will come.
pub fn fragment(language: Language, bounds: Bounds, choices: &mut Choices) -> Vec<u8> {
    match language {
        Language::Binary => {
            let claims = [0xFFFF_FFFF, bounds.frame_max as u32, bounds.frame_max as u32 + 1, 7];
            let mut bytes = vec![choices.pick(&[1, 2, 9])];
            bytes.extend(choices.pick(&claims).to_be_bytes());
            bytes.truncate(1 + choices.below(5));
            if bytes.len() == 5 {
                bytes.extend(text(choices.len(bounds.frame_max.min(200_000)), choices));
            }
            bytes
        }
        Language::Admin => {
            let len = choices.len(9000);
            [b"GET /status HTTP/1.1\r\nX-Rest: ", &text(len, choices)[..]].concat()
        }
        _ => {
            let len = if choices.chance(200) {
                bounds.line_max - bounds.line_max / 20
            } else {
                choices.len(bounds.line_max + 2)
            };
            text(1 + len, choices)
        }
    }
}

/// Returns the beginning of another protocol.
pub fn foreign(choices: &mut Choices) -> Vec<u8> {
    let speeches: [&[u8]; 8] = [
        b"\x16\x03\x01\x02\x0a\x01\0\x02\x06\x03\x03secret\n",
        b"\x16\x03\x05ECHO no version of TLS\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\nECHO hidden in a header\n",
        b"POST /x HTTP/1.0\r\n\r\nTIME\n",
        b"\xff\xfd\x03\xff\xfb\x18\xff\xfb\x20TIME\r\n",
        b"EHLO localhost\r\n",
        b"\xff\xfa\x1f\0\x50\0\x18\xff\xf0HELP\r\n",
        b"SSH-2.0-OpenSSH_9.6\r\n",
    ];
    choices.pick(&speeches).to_vec()
}

fn line(mut content: Vec<u8>, choices: &mut Choices) -> Vec<u8> {
    let endings: [&[u8]; 3] = [b"\n", b"\n", b"\r\n"];
    content.extend(choices.pick(&endings));
    content
}

fn command(bounds: Bounds, choices: &mut Choices) -> Vec<u8> {
    let words: [&[u8]; 9] = [
        b"HELP",
        b"TIME",
        b"time please",
        b"ECHO",
        b"",
        b" \t",
        b"DANCE",
        b"GET",
        b"\xff\xf4ECHO interrupted",
    ];
    match choices.below(3) {
        0 => choices.pick(&words).to_vec(),
        1 => [&b"ECHO "[..], &text(1 + choices.len(200), choices)].concat(),
        _ => {
            let len = edge(bounds.line_max, bounds, choices);
            [&b"ECHO "[..], &text(len.saturating_sub(5), choices)].concat()
        }
    }
}

fn words(bounds: Bounds, choices: &mut Choices) -> Vec<u8> {
    let known: [&[u8]; 7] =
        [b"hello", b"What TIME is it?", b"Status", b"", b"exit now", b"\xff\0\x1b", b"say hello"];
    match choices.below(3) {
        0 => choices.pick(&known).to_vec(),
        1 => text(1 + choices.len(200), choices),
        _ => {
            let len = edge(bounds.line_max, bounds, choices);
            text(len, choices)
        }
    }
}

/// Returns the head of a request, which may be refused.
fn request(choices: &mut Choices) -> Vec<u8> {
    let lines = [
        "GET /healthz HTTP/1.1",
        "GET /readyz HTTP/1.0",
        "GET /metrics HTTP/1.1",
        "GET /status?all HTTP/1.1",
        "GET / HTTP/1.1",
        "HEAD /metrics HTTP/1.1",
        "HEAD /nothing HTTP/1.1",
        "GET /nothing HTTP/1.1",
        "POST /status HTTP/1.1",
        "GET / HTTP/9",
        "ECHO hello",
    ];
    let hosts = ["", "Host: localhost\r\n", "Host: [::1]:9464\r\n", "Host: evil.example\r\n"];
    let (line, host) = (choices.pick(&lines), choices.pick(&hosts));
    format!("{line}\r\n{host}Accept: */*\r\n\r\n").into_bytes()
}

fn any_frame(bounds: Bounds, choices: &mut Choices) -> Vec<u8> {
    let code = choices.pick(&[1, 2, 1, 2, 9, 255]);
    let mut payload = match choices.below(3) {
        0 => Vec::new(),
        1 => text(choices.len(200), choices),
        _ => {
            let len = edge(bounds.frame_max, bounds, choices);
            text(len, choices)
        }
    };
    if choices.chance(50) {
        payload.extend_from_slice(b"\xc3\x28");
    } else if choices.chance(100) {
        payload.extend_from_slice("a\u{e9}\u{20ac}".as_bytes());
    }
    frame(code, &payload)
}

/// Returns a length near a limit, or a shorter one if the limit is large.
fn edge(max: usize, bounds: Bounds, choices: &mut Choices) -> usize {
    match max > 10_000 && !choices.chance(if bounds.is_memory_short { 700 } else { 100 }) {
        true => choices.len(3000),
        false => (max + choices.below(4)).saturating_sub(1).max(1),
    }
}

/// Returns `len` different bytes without a newline.
fn text(len: usize, choices: &mut Choices) -> Vec<u8> {
    let pattern = b"abcdefghijklmnopqrstuvwxyz0123456789 -";
    let start = choices.below(pattern.len());
    let mut text = pattern[start..].to_vec();
    while text.len() < len {
        text.extend_from_slice(pattern);
    }
    text.truncate(len);
    text
}

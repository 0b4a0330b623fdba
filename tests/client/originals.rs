//! Servers that behave as the four original ones. They block, with a thread per connection (`chat`
//! serves one after the other). `echo` and `chat` take one `recv` of at most 1024 bytes as a
//! message.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;

use crate::support::behaviour::{serve, serve_in_turn};

/// The time that these servers report.
pub const TIME: &str = "2025-09-12T17:24:13-05:00";

/// Starts a server of text; returns its port.
pub fn text() -> u16 {
    serve(|stream| drop(text_session(stream)))
}

/// Starts a server of binary; returns its port.
pub fn binary() -> u16 {
    serve(|stream| drop(binary_session(stream)))
}

/// Starts a server of echo; returns its port.
pub fn echo() -> u16 {
    serve(|stream| {
        drop(message_session(stream, |message| Some(format!("Server received: {message}"))))
    })
}

/// Starts a server of chat; returns its port.
pub fn chat() -> u16 {
    serve_in_turn(|stream| {
        drop(message_session(stream, |message| match message.to_lowercase() {
            lower if lower == "exit" => None,
            lower if lower.contains("time") => Some("Server Time: 17:24:13".into()),
            lower if lower.contains("hello") => {
                Some("Hello from the server! Connection established.".into())
            }
            lower if lower.contains("status") => {
                Some("Server is running smoothly on Python.".into())
            }
            _ => Some(format!("ACK: Received '{message}'")),
        }));
    })
}

fn text_session(mut stream: TcpStream) -> io::Result<()> {
    stream.write_all(b"WELCOME, I'm TinyServer not pressure\n")?;
    for line in BufReader::new(stream.try_clone()?).lines() {
        let line = line?;
        let (command, text) = line.trim().split_once(' ').unwrap_or((line.trim(), ""));
        let answer = match command.to_uppercase().as_str() {
            "" => continue,
            "TIME" => format!("TIME {TIME}\n"),
            "ECHO" if text.is_empty() => "ERROR BAD_ARGUMENTS\n".into(),
            "ECHO" => format!("ECHO {text}\n"),
            "HELP" => "HELP COMMANDS: TIME | ECHO <TEXT> | HELP | QUIT\n".into(),
            "QUIT" => return stream.write_all(b"BYE\n"),
            _ => "ERROR UNKNOWN_COMMAND\n".into(),
        };
        stream.write_all(answer.as_bytes())?;
    }
    Ok(())
}

fn binary_session(mut stream: TcpStream) -> io::Result<()> {
    loop {
        let mut header = [0; 5];
        stream.read_exact(&mut header)?;
        let [code, len @ ..] = header;
        let mut payload = vec![0; u32::from_be_bytes(len) as usize];
        stream.read_exact(&mut payload)?;
        match code {
            1 => {}
            2 => {
                payload =
                    String::from_utf8_lossy(&payload).chars().rev().collect::<String>().into_bytes()
            }
            3 => return Ok(()),
            _ => continue,
        }
        let len = u32::try_from(payload.len()).expect("short").to_be_bytes();
        stream.write_all(&[&[1], &len[..], &payload].concat())?;
    }
}

fn message_session(
    mut stream: TcpStream,
    answer: impl Fn(&str) -> Option<String>,
) -> io::Result<()> {
    let mut buffer = [0; 1024];
    loop {
        let len = stream.read(&mut buffer)?;
        match answer(&String::from_utf8_lossy(&buffer[..len])) {
            Some(answer) if len > 0 => stream.write_all(answer.as_bytes())?,
            _ => return Ok(()),
        }
    }
}

//! The two forms in which news is printed.

use std::fmt::Write;
use std::time::SystemTime;

use chrono::{DateTime, SecondsFormat, Utc};
use serde::Serialize;

use crate::dialogue::News;
use crate::error::ClientError;
use crate::stdout::StdoutWriter;

/// The form in which news is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// `FROM <name> <TEXT>` or `MISSED <count>`, byte for byte.
    Line,
    /// An object in one line, with the time of arrival.
    Json,
}

/// News as an object. Bytes that are not UTF-8 are in hexadecimal digits, so that none is lost.
#[derive(Debug, Serialize)]
struct Object<'a> {
    /// When it arrived, in UTC.
    time: String,
    room: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    from_hex: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    text_hex: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    missed: Option<u64>,
}

/// Prints `news` of `room`, and passes it on to the reader of stdout at once.
///
/// # Errors
/// When stdout is closed or full.
pub fn print(
    output: &mut StdoutWriter,
    form: Form,
    room: &str,
    news: &News<'_>,
) -> Result<(), ClientError> {
    match form {
        Form::Line => output.write_news(news)?,
        Form::Json => output.write(&object(SystemTime::now(), room, news))?,
    }
    output.flush()
}

fn object(time: SystemTime, room: &str, news: &News<'_>) -> String {
    let (name, text, missed) = match news {
        News::Message { name, text } => (Some(*name), Some(*text), None),
        News::Missed(count) => (None, None, Some(*count)),
    };
    let (from, from_hex) = readable(name);
    let (text, text_hex) = readable(text);
    let time = DateTime::<Utc>::from(time).to_rfc3339_opts(SecondsFormat::Micros, true);
    let object = Object { time, room, from, from_hex, text, text_hex, missed };
    // An object of texts and numbers is always JSON.
    serde_json::to_string(&object).map(|line| line + "\n").unwrap_or_default()
}

/// Returns the bytes as text, or else in hexadecimal digits.
fn readable(bytes: Option<&[u8]>) -> (Option<&str>, Option<String>) {
    let Some(bytes) = bytes else { return (None, None) };
    match std::str::from_utf8(bytes) {
        Ok(text) => (Some(text), None),
        Err(_) => {
            let digits = bytes.iter().fold(String::new(), |mut digits, byte| {
                // Writing to a string never fails.
                let _ = write!(digits, "{byte:02x}");
                digits
            });
            (None, Some(digits))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_has_all_bytes_of_its_message() {
        let object = |news| object(SystemTime::UNIX_EPOCH, "lobby", &news);
        let time = r#"{"time":"1970-01-01T00:00:00.000000Z","room":"lobby","#;
        for (news, expected) in [
            (
                News::Message { name: b"ana", text: "say \"h\u{e9}\"\\".as_bytes() },
                r#""from":"ana","text":"say \"hé\"\\"}"#,
            ),
            (
                News::Message { name: b"\xff", text: b"a\xff" },
                r#""from_hex":"ff","text_hex":"61ff"}"#,
            ),
            (News::Missed(3), r#""missed":3}"#),
        ] {
            assert_eq!(object(news), format!("{time}{expected}\n"));
        }
    }
}

//! Binary: words such as `echo <msg>`, `say <text>` and `quit` become frames.

use tinytcp_cli::UsageError;
use tinytcp_core::display::escape::{front, quoted};
pub use tinytcp_core::protocol::binary::{
    ECHO, ERROR, JOIN, LEAVE, MESSAGE, MISSED, NICK, QUIT, REVERSE, SAY, STATUS, WHO, WHOAMI,
};
use tinytcp_core::wire::frame::Header;

use super::{DueAnswer, Request};

/// The message is everything after the blank that follows the word, byte for byte.
pub fn encode(line: &[u8], output: &mut Vec<u8>) -> Result<Request, UsageError> {
    let line = line.trim_ascii_start();
    let end = line.iter().position(u8::is_ascii_whitespace).unwrap_or(line.len());
    let (word, rest) = line.split_at(end);
    let payload = rest.get(1..).unwrap_or_default();
    match word.to_ascii_lowercase().as_slice() {
        b"" => return Ok(Request::Unanswered),
        b"echo" => frame(ECHO, payload, output)?,
        b"rev" => frame(REVERSE, payload, output)?,
        b"status" => frame(STATUS, b"", output)?,
        b"join" => frame(JOIN, payload, output)?,
        b"leave" => frame(LEAVE, b"", output)?,
        b"nick" => frame(NICK, payload, output)?,
        b"who" => frame(WHO, b"", output)?,
        b"whoami" => frame(WHOAMI, b"", output)?,
        b"say" => frame(SAY, payload, output)?,
        b"quit" => {
            frame(QUIT, b"", output)?;
            return Ok(Request::Last(None));
        }
        _ => {
            let word = quoted(front(word, 32));
            return Err(format!(
                "unknown command '{word}': the commands are echo <message>, rev <message>, status, \
                 join <room>, say <text>, nick <name>, who, leave, whoami and quit"
            )
            .into());
        }
    }
    Ok(Request::Answered(DueAnswer::Frame))
}

fn frame(code: u8, payload: &[u8], output: &mut Vec<u8>) -> Result<(), UsageError> {
    let payload_len =
        u32::try_from(payload.len()).map_err(|_| "a message must be shorter than 4 GiB")?;
    output.extend_from_slice(&Header { code, payload_len }.encode());
    output.extend_from_slice(payload);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_become_frames_in_any_case_and_keep_blanks() {
        let cases: [(&[u8], &[u8]); 11] = [
            (b"echo Hi", b"\x01\0\0\0\x02Hi"),
            (b"ECHO  a  b ", b"\x01\0\0\0\x06 a  b "),
            (b"echo", b"\x01\0\0\0\0"),
            (b"echo ", b"\x01\0\0\0\0"),
            (b"rev \xff", b"\x02\0\0\0\x01\xff"),
            (b"Status now", b"\x04\0\0\0\0"),
            (b"whoami", b"\x05\0\0\0\0"),
            (b" quit now", b"\x03\0\0\0\0"),
            (b"join lobby", b"\x10\0\0\0\x05lobby"),
            (b"say  a\xff", b"\x12\0\0\0\x03 a\xff"),
            (b"Who", b"\x15\0\0\0\0"),
        ];
        for (line, expected) in cases {
            let mut output = Vec::new();
            encode(line, &mut output).expect("a command");
            assert_eq!(output, expected, "{}", line.escape_ascii());
        }
    }

    #[test]
    fn an_unknown_word_is_refused_and_nothing_is_sent() {
        let mut output = Vec::new();
        let error = encode(b"time\x1b now", &mut output).expect_err("no command");
        assert_eq!(
            error.to_string(),
            "unknown command 'time\\x1b': the commands are echo <message>, rev <message>, status, \
             join <room>, say <text>, nick <name>, who, leave, whoami and quit"
        );
        assert!(output.is_empty());
    }
}

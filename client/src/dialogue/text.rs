//! Text: a line is sent as it is and answered by one line.

use tinytcp_core::wire::telnet;

use super::{DueAnswer, Request};

/// A line without an answer is sent too, so that the server receives the whole script.
pub fn encode(line: &[u8], output: &mut Vec<u8>) -> Request {
    output.extend_from_slice(line);
    output.push(b'\n');
    // For the server, a carriage return at the end is a part of the line's ending.
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let mut place = [0; b"QUIT".len() + 1];
    match telnet::split_word(line, &mut place).0 {
        b"" => Request::Unanswered,
        word if word.eq_ignore_ascii_case(b"QUIT") => Request::Last(Some(DueAnswer::Line)),
        _ => Request::Answered(DueAnswer::Line),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_empty_lines_have_no_answer_and_quit_is_the_last() {
        let cases: [(&[u8], Request); 12] = [
            (b"TIME", Request::Answered(DueAnswer::Line)),
            (b"ECHO  two  blanks", Request::Answered(DueAnswer::Line)),
            (b"", Request::Unanswered),
            (b" \t ", Request::Unanswered),
            (b" \r", Request::Unanswered),
            (b"\xff\xfb\x20", Request::Unanswered),
            (b"\x0c", Request::Answered(DueAnswer::Line)),
            (b"\r\r", Request::Answered(DueAnswer::Line)),
            (b" qUiT now", Request::Last(Some(DueAnswer::Line))),
            (b"quit\r", Request::Last(Some(DueAnswer::Line))),
            (b"QUITE", Request::Answered(DueAnswer::Line)),
            (b"QUIT\x0c", Request::Answered(DueAnswer::Line)),
        ];
        for (line, expected) in cases {
            let mut output = Vec::new();
            assert_eq!(encode(line, &mut output), expected, "{line:?}");
            assert_eq!(output, [line, b"\n"].concat());
        }
    }
}

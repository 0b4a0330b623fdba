//! Text: a line is sent as it is and answered by one line.

use tinytcp_core::wire::telnet;

use super::{Due, Request};

/// Lines that get no answer are sent too: the server is asked what the script asks.
pub fn encode(line: &[u8], output: &mut Vec<u8>) -> Request {
    output.extend_from_slice(line);
    output.push(b'\n');
    // To the server, a carriage return at the end is half of the line's ending.
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let mut place = [0; b"QUIT".len() + 1];
    match telnet::split_word(line, &mut place).0 {
        b"" => Request::Silent,
        word if word.eq_ignore_ascii_case(b"QUIT") => Request::Farewell(Some(Due::Line)),
        _ => Request::Answered(Due::Line),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_lines_that_say_nothing_are_not_answered_and_quit_is_the_last() {
        let cases: [(&[u8], Request); 12] = [
            (b"TIME", Request::Answered(Due::Line)),
            (b"ECHO  two  blanks", Request::Answered(Due::Line)),
            (b"", Request::Silent),
            (b" \t ", Request::Silent),
            (b" \r", Request::Silent),
            (b"\xff\xfb\x20", Request::Silent),
            (b"\x0c", Request::Answered(Due::Line)),
            (b"\r\r", Request::Answered(Due::Line)),
            (b" qUiT now", Request::Farewell(Some(Due::Line))),
            (b"quit\r", Request::Farewell(Some(Due::Line))),
            (b"QUITE", Request::Answered(Due::Line)),
            (b"QUIT\x0c", Request::Answered(Due::Line)),
        ];
        for (line, expected) in cases {
            let mut output = Vec::new();
            assert_eq!(encode(line, &mut output), expected, "{line:?}");
            assert_eq!(output, [line, b"\n"].concat());
        }
    }
}

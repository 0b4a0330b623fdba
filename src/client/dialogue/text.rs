//! Text: a line is sent as it is and answered by one line.

use super::{Due, Request};

/// Lines of blanks are sent too, though they get no answer: the server is asked what the script asks.
pub fn encode(line: &[u8], output: &mut Vec<u8>) -> Request {
    output.extend_from_slice(line);
    output.push(b'\n');
    match first_word(line) {
        b"" => Request::Silent,
        word if word.eq_ignore_ascii_case(b"QUIT") => Request::Farewell(Some(Due::Line)),
        _ => Request::Answered(Due::Line),
    }
}

fn first_word(line: &[u8]) -> &[u8] {
    line.trim_ascii_start().split(u8::is_ascii_whitespace).next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_blank_lines_are_not_answered_and_quit_is_the_last() {
        let cases: [(&[u8], Request); 6] = [
            (b"TIME", Request::Answered(Due::Line)),
            (b"ECHO  two  blanks", Request::Answered(Due::Line)),
            (b"", Request::Silent),
            (b" \t ", Request::Silent),
            (b" qUiT now", Request::Farewell(Some(Due::Line))),
            (b"QUITE", Request::Answered(Due::Line)),
        ];
        for (line, expected) in cases {
            let mut output = Vec::new();
            assert_eq!(encode(line, &mut output), expected, "{line:?}");
            assert_eq!(output, [line, b"\n"].concat());
        }
    }
}

//! The beginning of an HTTP request (RFC 9112, section 3). A server without HTTP must detect it,
//! because a page in a browser can send one to any port, followed by lines of its choice.

use super::line::is_blank;
use super::telnet;

/// The methods of HTTP/1.1 (RFC 9110, RFC 5789), and `PRI` of the preface of HTTP/2 (RFC 9113).
pub const METHODS: [&[u8]; 10] = [
    b"GET", b"HEAD", b"POST", b"PUT", b"DELETE", b"CONNECT", b"OPTIONS", b"TRACE", b"PATCH", b"PRI",
];

/// How many bytes of a line decide: a method, the start of its target, and telnet negotiation.
pub const FRONT_LEN: usize = 32;

/// True if the complete `line` is an HTTP request line: a method and an argument, or a version at
/// its end.
#[must_use]
pub fn is_request_line(line: &[u8]) -> bool {
    let last_word = line.rsplit(|byte| is_blank(*byte)).next().unwrap_or_default();
    let has_version = last_word.get(..5).is_some_and(|front| front.eq_ignore_ascii_case(b"HTTP/"));
    // Without a blank before the last word, there is no method with an argument.
    has_version || last_word.len() < line.len() && has_method_and_argument(line)
}

/// True if `message` is an HTTP request line, for protocols in which a message is any text: its
/// last word is a version and the word before it the target of a request. The first message of a
/// connection may be cut off within its target: there a method and the start of a path decide.
#[must_use]
#[inline]
pub fn is_request(message: &[u8], is_first: bool) -> bool {
    let may_end_in_version = message.last().is_some_and(u8::is_ascii_digit);
    (may_end_in_version && has_target_and_version(message))
        || is_first && has_method_and_path(message)
}

#[cold]
fn has_target_and_version(message: &[u8]) -> bool {
    let mut words = message.rsplit(|byte| is_blank(*byte));
    let mut next = || words.next().unwrap_or_default();
    let (version, target) = (next(), next());
    let starts = |word: &[u8], front: &[u8]| {
        word.get(..front.len()).is_some_and(|start| start.eq_ignore_ascii_case(front))
    };
    let is_target = [&b"/"[..], b"*", b"http"].iter().any(|front| starts(target, front));
    let has_method = || METHODS.iter().any(|method| starts(message, method));
    starts(version, b"HTTP/") && (is_target || has_method())
}

fn has_method_and_path(message: &[u8]) -> bool {
    let method_len = message.iter().take_while(|byte| byte.is_ascii_uppercase()).count();
    let (method, rest) = message.split_at(method_len);
    METHODS.contains(&method) && matches!(rest, [b' ', b'/' | b'*', ..])
}

fn has_method_and_argument(line: &[u8]) -> bool {
    let mut place = [0; FRONT_LEN];
    let (word, argument) = telnet::split_word(line, &mut place);
    METHODS.contains(&word) && !argument.is_empty()
}

/// Returns whether a line that begins with `front`, and whose end is not stored, is an HTTP request
/// line: a method and an argument, or any other word of letters and a path, because HTTP allows
/// further methods. Returns `None` while there are too few bytes to decide.
#[must_use]
pub fn is_request_front(front: &[u8]) -> Option<bool> {
    let mut place = [0; FRONT_LEN];
    let (word, argument) = telnet::split_word(front.get(..FRONT_LEN).unwrap_or(front), &mut place);
    let is_letters = word.iter().all(u8::is_ascii_alphabetic);
    match argument.first() {
        None if is_letters && front.len() < FRONT_LEN => None,
        None => Some(false),
        Some(first) => Some(METHODS.contains(&word) || is_letters && *first == b'/'),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_method_and_the_first_byte_of_its_target_decide() {
        for method in METHODS {
            for len in 0..=method.len() {
                assert_eq!(is_request_front(&method[..len]), None);
            }
            assert_eq!(is_request_front(&[method, b" "].concat()), None);
            assert_eq!(is_request_front(&[method, b" /"].concat()), Some(true));
            assert_eq!(is_request_front(&[b"\xff\xfd\x06", method, b" /"].concat()), Some(true));
            assert!(is_request_line(&[method, b" /"].concat()) && !is_request_line(method));
        }
    }

    #[test]
    fn a_word_and_a_path_are_a_request_if_the_version_is_not_stored() {
        for front in ["BREW /", "get /", "PROPFIND /calendars/"] {
            assert_eq!(is_request_front(front.as_bytes()), Some(true), "{front}");
            assert!(!is_request_line(front.as_bytes()), "{front}");
        }
        assert_eq!(is_request_front(b"PROPFIND"), None);
    }

    #[test]
    fn a_version_at_the_end_of_a_complete_line_decides() {
        for line in ["BREW /pot HTTP/1.1", "post /x http/1.1"] {
            assert!(is_request_line(line.as_bytes()), "{line}");
        }
    }

    #[test]
    fn a_message_is_a_request_by_its_target_and_version() {
        for line in ["GET / HTTP/1.1", "T / HTTP/1.1", " /x http/1.0", "CONNECT a:1 HTTP/1.1"] {
            assert!(is_request(line.as_bytes(), false), "{line}");
        }
        assert!(is_request(b"GET http://a/ HTTP/1.1", false));
        for text in ["what is HTTP/1.1", "HTTP/1.1", "GET /", "GET / HTTP/1.1 ", "/ HTTPS/1", "7"] {
            assert!(!is_request(text.as_bytes(), false), "{text}");
        }
    }

    #[test]
    fn the_first_message_is_a_request_by_its_method_and_path_too() {
        for line in ["GET /", "POST /x HT", "PRI * HTTP/2.0", "OPTIONS *"] {
            assert!(is_request(line.as_bytes(), true), "{line}");
        }
        for text in ["GET", "GET it", "get /", "GET  /", "try /join tea", "SAY /x"] {
            assert!(!is_request(text.as_bytes(), true), "{text}");
        }
    }

    #[test]
    fn other_lines_are_not_requests() {
        for front in [
            "x1",
            "get x",
            "OPTIONS_ /",
            "CONNECTED x",
            "ECHO hello",
            &"x".repeat(FRONT_LEN),
            &" ".repeat(FRONT_LEN),
        ] {
            assert_eq!(is_request_front(front.as_bytes()), Some(false), "{front}");
        }
    }
}

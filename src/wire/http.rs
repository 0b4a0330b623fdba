//! What a request of HTTP begins with (RFC 9112, section 3), as far as a server without HTTP needs it: a page in a browser can
//! send one to any port, with lines of its choice behind it.

use super::line::is_blank;
use super::telnet;

/// The methods of HTTP/1.1 (RFC 9110, RFC 5789), and what the preface of HTTP/2 has in their place (RFC 9113).
const METHODS: [&[u8]; 10] =
    [b"GET", b"HEAD", b"POST", b"PUT", b"DELETE", b"CONNECT", b"OPTIONS", b"TRACE", b"PATCH", b"PRI"];
const METHOD_LEN_MAX: usize = b"OPTIONS".len();

/// So many bytes of a line decide, whatever comes behind them and however they are cut: the longest method, the start of its
/// target, and some negotiation.
pub const FRONT_LEN: usize = 32;

/// True exactly when `line`, which is whole, is a request line of HTTP, or ends as one does.
#[must_use]
pub fn is_request_line(line: &[u8]) -> bool {
    let last_word = line.rsplit(|byte| is_blank(*byte)).next().unwrap_or_default();
    last_word.starts_with(b"HTTP/") || judge(line) == Some(true)
}

/// Whether the line that `front` is the beginning of is a request of HTTP: a method in upper case and an argument, behind
/// negotiation of telnet or not. `None` while too few of its bytes are there to know.
#[must_use]
pub fn is_request_front(front: &[u8]) -> Option<bool> {
    match front.get(..FRONT_LEN) {
        Some(front) => Some(judge(front) == Some(true)),
        None => judge(front),
    }
}

/// The same of whatever is there; `None` where it may still become a request.
fn judge(front: &[u8]) -> Option<bool> {
    // A word that is cut is longer than every method, and so none.
    let mut place = [0; METHOD_LEN_MAX + 1];
    let (word, argument) = telnet::split_word(front, &mut place);
    let may_become_one = argument.is_empty() && METHODS.iter().any(|method| method.starts_with(word));
    (!may_become_one).then(|| METHODS.contains(&word))
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
    fn anything_else_is_no_request() {
        for front in ["ECHO", "get /", "GETS", "OPTIONS_ x", "CONNECTED x", "TIME", &" ".repeat(FRONT_LEN)] {
            assert_eq!(is_request_front(front.as_bytes()), Some(false), "{front}");
        }
        assert!(is_request_line(b"BREW /pot HTTP/1.1"));
    }
}

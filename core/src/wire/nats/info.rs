//! The `INFO` of a broker: a JSON object, of which a client needs three members.

/// What a broker demands of its clients.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Info {
    /// The longest payload in bytes that the broker takes, if it names one.
    pub max_payload: Option<usize>,
    /// True if the broker refuses clients without TLS.
    pub tls_required: bool,
    /// True if the broker accepts clients with and without TLS.
    pub tls_available: bool,
}

impl Info {
    /// Reads the members of the outermost object of `json`. Members that are absent, or whose
    /// values are of another type, keep their defaults; a later version of the broker can add
    /// others. The cost is one pass.
    #[must_use]
    pub fn parse(json: &[u8]) -> Self {
        let mut info = Self::default();
        let mut scanner = Scanner { rest: json, depth: 0 };
        let mut key: Option<&[u8]> = None;
        while let Some(token) = scanner.next() {
            let value = match (token, scanner.depth) {
                (Token::Text(text), 1) => {
                    key = Some(text);
                    continue;
                }
                (Token::Colon, 1) => continue,
                (Token::Word(word), 1) => word,
                _ => {
                    key = None;
                    continue;
                }
            };
            match key.take() {
                Some(b"max_payload") => {
                    info.max_payload = str::from_utf8(value).ok().and_then(|it| it.parse().ok());
                }
                Some(b"tls_required") => info.tls_required = value == b"true",
                Some(b"tls_available") => info.tls_available = value == b"true",
                _ => {}
            }
        }
        info
    }
}

/// A piece of JSON.
enum Token<'a> {
    /// A string, with its escapes. It can be a key or a value.
    Text(&'a [u8]),
    /// A number, `true`, `false` or `null`.
    Word(&'a [u8]),
    Colon,
    /// A comma or a bracket.
    Other,
}

/// Splits JSON into its pieces. Bytes that are not JSON become words.
struct Scanner<'a> {
    rest: &'a [u8],
    /// How many brackets are open.
    depth: usize,
}

impl<'a> Iterator for Scanner<'a> {
    type Item = Token<'a>;

    fn next(&mut self) -> Option<Token<'a>> {
        let input = self.rest.trim_ascii_start();
        let (first, after) = input.split_first()?;
        let (token, rest) = match first {
            b'"' => {
                let end = end_of_text(after);
                (Token::Text(after.get(..end)?), after.get(end + 1..).unwrap_or_default())
            }
            b'{' | b'[' => {
                self.depth = self.depth.saturating_add(1);
                (Token::Other, after)
            }
            b'}' | b']' => {
                self.depth = self.depth.saturating_sub(1);
                (Token::Other, after)
            }
            b':' => (Token::Colon, after),
            b',' => (Token::Other, after),
            _ => {
                let is_end = |byte: &u8| b"{}[],:\"".contains(byte) || byte.is_ascii_whitespace();
                let end = input.iter().position(is_end).unwrap_or(input.len()).max(1);
                (Token::Word(input.get(..end)?), input.get(end..)?)
            }
        };
        self.rest = rest;
        Some(token)
    }
}

/// Returns the place of the quote that ends a string; the length of `text` if there is none.
fn end_of_text(text: &[u8]) -> usize {
    let mut is_escaped = false;
    let is_end = |byte: &u8| {
        let ends = *byte == b'"' && !is_escaped;
        is_escaped = *byte == b'\\' && !is_escaped;
        ends
    };
    text.iter().position(is_end).unwrap_or(text.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_members_of_a_broker_are_found_among_others() {
        let json = br#"{"server_id":"ND\"X\\","version":"2.9.10","headers":true,
            "max_payload" : 1048576,"client_id":5,"connect_urls":["a:1","b:2"],
            "nested":{"max_payload":1,"tls_required":false},"tls_required":true,
            "tls_available":true}"#;
        let info = Info { max_payload: Some(1_048_576), tls_required: true, tls_available: true };
        assert_eq!(Info::parse(json), info);
    }

    #[test]
    fn absent_and_strange_members_keep_their_defaults() {
        for json in [
            &b""[..],
            b"{}",
            b"[1,2]",
            br#"{"max_payload":-1,"tls_required":"true"}"#,
            br#"{"x":"max_payload","y":7}"#,
            br#"{"max_payload":{"y":7},"z":8}"#,
            br#"{"max_payload":99999999999999999999999}"#,
            br#"{"tls_required"#,
        ] {
            assert_eq!(Info::parse(json), Info::default(), "{}", json.escape_ascii());
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_to_their_end(json in "[{}\\[\\],:\"\\\\a-c0-9 ]{0,60}") {
            let _ = Info::parse(json.as_bytes());
        }
    }
}

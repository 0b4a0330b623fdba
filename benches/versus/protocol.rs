//! The request of the same text in the protocol of each server.

/// The protocol of a server.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// One of our protocols, by the scheme of its URLs.
    Ours(&'static str),
    /// Lines or any bytes, which come back unchanged.
    Echo,
    /// The `ECHO` of redis, as its clients write it.
    Resp,
    /// The meta no-op of memcached, its cheapest request. It carries no text.
    MetaNoop,
}

/// A request and its answer.
pub struct Exchange {
    pub request: Vec<u8>,
    pub answer: Vec<u8>,
}

impl Protocol {
    /// The bytes that the server sends first.
    pub fn greeting(self) -> &'static [u8] {
        match self {
            Self::Ours("text") => b"WELCOME, I'm TinyServer not pressure\n",
            _ => b"",
        }
    }

    /// Returns a text of this length, of words that are no command. Its last byte is no blank,
    /// because `text` would remove it.
    pub fn text(self, len: usize) -> String {
        // `chat` has a special answer to a hello.
        let words =
            if self == Self::Ours("chat") { "Howdy from client " } else { "Hello from client " };
        words.chars().cycle().take(len - 1).chain(['.']).collect()
    }

    /// Returns a request and its answer, which carry a text of this length if the protocol allows
    /// it.
    pub fn exchange(self, text_len: usize) -> Exchange {
        let text = self.text(text_len);
        let line = format!("ECHO {text}\n");
        let (request, answer) = match self {
            Self::Ours("binary") => (frame(&text), frame(&text)),
            Self::Ours("echo") => {
                (format!("{text}\n").into(), format!("Server received: {text}\n").into())
            }
            Self::Ours("chat") => {
                (format!("{text}\n").into(), format!("ACK: Received '{text}'\n").into())
            }
            Self::Ours(_) | Self::Echo => (line.clone().into_bytes(), line.into_bytes()),
            Self::Resp => {
                let bulk = format!("${}\r\n{text}\r\n", text.len());
                (format!("*2\r\n$4\r\nECHO\r\n{bulk}").into(), bulk.into())
            }
            Self::MetaNoop => (b"mn\r\n".to_vec(), b"MN\r\n".to_vec()),
        };
        Exchange { request, answer }
    }

    /// True exactly when each line of the mix has an answer of one line.
    pub fn answers_any_line(self) -> bool {
        matches!(self, Self::Ours("text") | Self::Echo)
    }

    /// True exactly when an exchange carries the text.
    pub fn carries_text(self) -> bool {
        self != Self::MetaNoop
    }
}

/// Returns a frame of code 1.
fn frame(text: &str) -> Vec<u8> {
    let len = u32::try_from(text.len()).expect("a length that a header can claim");
    [&[1][..], &len.to_be_bytes(), text.as_bytes()].concat()
}

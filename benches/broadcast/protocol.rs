//! The messages of each server's protocol that subscribe, publish and ping.

/// The longest name of the subject.
pub const ROOM: &str = "bench";

/// The protocol of a server.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    Ours,
    Redis,
    Nats,
}

/// Bytes to send, and those with which the answer ends.
pub struct Exchange {
    pub request: Vec<u8>,
    pub answer_end: &'static [u8],
}

impl Protocol {
    pub const ALL: [Self; 3] = [Self::Ours, Self::Redis, Self::Nats];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Ours => "ours",
            Self::Redis => "redis",
            Self::Nats => "nats",
        }
    }

    /// The greeting, or its end; empty if the server sends none.
    pub const fn greeting_end(self) -> &'static [u8] {
        match self {
            Self::Redis => b"",
            Self::Ours => b"\n",
            Self::Nats => b"\r\n",
        }
    }

    /// Returns the exchange that subscribes. Its end comes after every answer.
    pub fn subscribe(self) -> Exchange {
        match self {
            Self::Ours => Exchange {
                request: format!("JOIN {ROOM}\n").into_bytes(),
                answer_end: b"JOINED bench\n",
            },
            Self::Redis => Exchange {
                request: format!("SUBSCRIBE {ROOM}\r\n").into_bytes(),
                answer_end: b":1\r\n",
            },
            Self::Nats => Exchange {
                request: format!("CONNECT {{\"verbose\":false}}\r\nSUB {ROOM} 1\r\nPING\r\n")
                    .into_bytes(),
                answer_end: b"PONG\r\n",
            },
        }
    }

    /// Returns the exchange that prepares a connection to publish.
    pub fn prepare(self) -> Exchange {
        match self {
            Self::Ours => Exchange {
                request: format!("NICK p\nJOIN {ROOM}\n").into_bytes(),
                answer_end: b"JOINED bench\n",
            },
            Self::Redis => Exchange { request: b"PING\r\n".to_vec(), answer_end: b"+PONG\r\n" },
            Self::Nats => Exchange {
                request: b"CONNECT {\"verbose\":false}\r\nPING\r\n".to_vec(),
                answer_end: b"PONG\r\n",
            },
        }
    }

    /// Returns the command that publishes `text`, which has no blank and no line end.
    pub fn publish(self, text: &[u8]) -> Vec<u8> {
        match self {
            Self::Ours => [b"SAY ", text, b"\n"].concat(),
            Self::Redis => [format!("PUBLISH {ROOM} ").as_bytes(), text, b"\r\n"].concat(),
            Self::Nats => {
                [format!("PUB {ROOM} {}\r\n", text.len()).as_bytes(), text, b"\r\n"].concat()
            }
        }
    }

    /// Returns the number of bytes of a delivery before and after a text of this length.
    pub fn frame(self, len: usize) -> (usize, usize) {
        let front = match self {
            Self::Ours => "FROM p ".len(),
            Self::Redis => {
                format!("*3\r\n$7\r\nmessage\r\n${}\r\n{ROOM}\r\n${len}\r\n", ROOM.len()).len()
            }
            Self::Nats => format!("MSG {ROOM} 1 {len}\r\n").len(),
        };
        (front, if self == Self::Ours { 1 } else { 2 })
    }

    /// Returns the exchange of a ping of the bystander, over `echo` for our server.
    pub fn ping(self) -> Exchange {
        match self {
            Self::Ours => Exchange { request: b"ping\n".to_vec(), answer_end: b"ping\n" },
            Self::Redis => Exchange { request: b"PING\r\n".to_vec(), answer_end: b"+PONG\r\n" },
            Self::Nats => Exchange { request: b"PING\r\n".to_vec(), answer_end: b"PONG\r\n" },
        }
    }
}

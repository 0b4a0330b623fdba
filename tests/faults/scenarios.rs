//! The scenarios for a server in which one call fails. Each peer returns the bytes that it
//! received, and those that it receives without a fault.

use crate::support::frames::{ECHO, QUIT, REVERSE, error, frame};
use crate::support::peer::Peer;
use crate::support::server::Server;
use crate::support::{BANNER, KIB};

/// A use of a server.
pub struct Scenario {
    pub name: &'static str,
    pub flags: &'static [&'static str],
    pub play: fn(&Server) -> Vec<Heard>,
    /// True if the scenario has requested a stop of the server.
    pub stops: bool,
}

/// The bytes that one peer received, and those that it should receive.
#[derive(Debug)]
pub struct Heard {
    got: Vec<u8>,
    expected: Vec<u8>,
    /// The bytes that it may receive instead, if a fault has freed the place of another peer.
    otherwise: &'static [u8],
}

impl Heard {
    /// True exactly when every expected byte has arrived.
    pub fn is_all(&self) -> bool {
        timeless(&self.got) == timeless(&self.expected)
    }

    /// True exactly when no other byte has arrived. The connection may have ended too early.
    pub fn is_true(&self) -> bool {
        let got = timeless(&self.got);
        timeless(&self.expected).starts_with(&got) || timeless(self.otherwise).starts_with(&got)
    }
}

/// Replaces the times in `bytes`, in every zone.
fn timeless(bytes: &[u8]) -> Vec<u8> {
    let cover = |byte: &u8| match byte {
        b'0'..=b'9' => b'0',
        b'+' => b'-',
        other => *other,
    };
    bytes.iter().map(cover).collect()
}

/// A peer that continues if its connection has ended early.
struct Guest {
    peer: Peer,
    heard: Heard,
}

impl Guest {
    fn new(peer: Peer) -> Self {
        Self { peer, heard: Heard { got: Vec::new(), expected: Vec::new(), otherwise: b"" } }
    }

    /// Opens a connection of the text protocol and reads its greeting.
    fn welcomed(server: &Server) -> Self {
        let mut guest = Self::new(server.connect("text"));
        guest.hear(BANNER);
        guest
    }

    fn say(&mut self, request: impl AsRef<[u8]>, answer: impl AsRef<[u8]>) {
        self.peer.try_send(request.as_ref());
        self.hear(answer);
    }

    fn hear(&mut self, answer: impl AsRef<[u8]>) {
        let answer = answer.as_ref();
        self.heard.expected.extend_from_slice(answer);
        self.heard.got.extend(self.peer.read_until_ended(answer.len()));
    }

    /// Reads up to the server's end.
    fn hear_end(mut self) -> Heard {
        self.heard.got.extend(self.peer.read_until_ended(KIB));
        self.heard
    }

    /// Ends its input, and reads up to the server's end.
    fn leave(mut self) -> Heard {
        self.peer.try_half_close();
        self.hear_end()
    }
}

pub const SCENARIOS: [Scenario; 11] = [
    Scenario { name: "a text session", flags: &[], play: text, stops: false },
    Scenario { name: "a binary session", flags: &[], play: binary, stops: false },
    Scenario { name: "an echo session with a quiet piece", flags: &[], play: echo, stops: false },
    Scenario { name: "a chat session", flags: &[], play: chat, stops: false },
    Scenario { name: "pipelining under backpressure", flags: &[], play: pipelining, stops: false },
    Scenario {
        name: "requests and the end of input at once",
        flags: &[],
        play: half_close,
        stops: false,
    },
    Scenario {
        name: "oversize and refused input",
        flags: &["--max-line", "100"],
        play: oversize,
        stops: false,
    },
    Scenario {
        name: "a peer over the limit",
        flags: &["--max-connections", "1"],
        play: over_the_limit,
        stops: false,
    },
    Scenario { name: "deadlines", flags: &DEADLINES, play: deadlines, stops: false },
    Scenario { name: "peers that break off", flags: &[], play: resets, stops: false },
    Scenario { name: "a shutdown", flags: &["--quiet-period", "1h"], play: shutdown, stops: true },
];

fn text(server: &Server) -> Vec<Heard> {
    let mut guest = Guest::welcomed(server);
    guest.say("ECHO one\n", "ECHO one\n");
    guest.say("TIME\n", "TIME 2025-09-12T17:24:13-05:00\n");
    guest.say("NONSENSE\n", "ERROR UNKNOWN_COMMAND\n");
    guest.say("QUIT\n", "BYE\n");
    vec![guest.hear_end()]
}

fn binary(server: &Server) -> Vec<Heard> {
    let mut guest = Guest::new(server.connect("binary"));
    guest.say(frame(ECHO, "one"), frame(ECHO, "one"));
    guest.say(frame(REVERSE, "abc"), frame(ECHO, "cba"));
    guest.say(frame(9, "what"), error("UNKNOWN_COMMAND"));
    guest.say(frame(QUIT, ""), "");
    vec![guest.hear_end()]
}

fn echo(server: &Server) -> Vec<Heard> {
    let mut guest = Guest::new(server.connect("echo"));
    guest.say("one\n", "Server received: one\n");
    guest.say("a piece", "Server received: a piece");
    vec![guest.leave()]
}

fn chat(server: &Server) -> Vec<Heard> {
    let mut guest = Guest::new(server.connect("chat"));
    guest.say("hello\n", "Hello from the server! Connection established.\n");
    guest.say("what time is it?\n", "Server Time: 17:24:13\n");
    guest.say("exit\n", "");
    vec![guest.hear_end()]
}

/// Sends requests with more answers than the kernel holds for a peer with a small window.
fn pipelining(server: &Server) -> Vec<Heard> {
    let requests = frame(ECHO, vec![b'x'; 64 * KIB]).repeat(100);
    let mut guest = Guest::new(server.connect_with_small_window("binary"));
    let mut sender = guest.peer.twin();
    std::thread::scope(|scope| {
        scope.spawn(|| sender.try_send(&requests));
        guest.hear(&requests);
    });
    vec![guest.leave()]
}

fn half_close(server: &Server) -> Vec<Heard> {
    let requests = b"ECHO once more\n".repeat(100);
    let mut guest = Guest::welcomed(server);
    guest.say([requests.as_slice(), b"ECHO half a comm"].concat(), "");
    guest.peer.try_half_close();
    guest.hear(requests);
    vec![guest.hear_end()]
}

fn oversize(server: &Server) -> Vec<Heard> {
    let mut guest = Guest::welcomed(server);
    guest.say([[b'A'; KIB].as_slice(), b"\n"].concat(), "ERROR LINE_TOO_LONG\n");
    guest.say("ECHO on\n", "ECHO on\n");
    // It is refused at its first line. The rest must not destroy the answer.
    guest.say("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", "ERROR NOT_HTTP\n");
    vec![guest.leave()]
}

fn over_the_limit(server: &Server) -> Vec<Heard> {
    let first = Guest::welcomed(server);
    let mut second = Guest::new(server.connect("text"));
    second.heard.otherwise = b"WELCOME, I'm TinyServer not pressure\nECHO in?\n";
    second.say("ECHO in?\n", "ERROR SERVER_BUSY\n");
    vec![second.leave(), first.leave()]
}

const DEADLINES: [&str; 6] =
    ["--idle-timeout", "200ms", "--message-timeout", "200ms", "--write-timeout", "200ms"];

fn deadlines(server: &Server) -> Vec<Heard> {
    let mut stuck = Guest::new(server.connect_with_small_window("binary"));
    let requests = frame(ECHO, vec![b'x'; 64 * KIB]).repeat(100);
    let mut sender = stuck.peer.twin();
    let sender = std::thread::spawn(move || while sender.try_send(&requests) {});
    let mut idle = Guest::welcomed(server);
    let mut slow = Guest::new(server.connect("binary"));
    slow.say([ECHO, 0, 0], error("MESSAGE_TIMEOUT"));
    idle.hear("ERROR IDLE_TIMEOUT\n");
    // It ends when the server resets the connection. Bytes that the peer has not read by then are
    // lost, as they should be.
    sender.join().expect("no panic");
    stuck.heard.got.clear();
    vec![idle.leave(), slow.leave()]
}

fn resets(server: &Server) -> Vec<Heard> {
    for protocol in ["text", "binary"] {
        let mut peer = server.connect(protocol);
        peer.try_send(&frame(ECHO, vec![b'x'; 64 * KIB]));
        peer.read_until_ended(1);
        peer.reset();
        server.connect(protocol).reset();
    }
    Vec::new()
}

/// What has arrived before the signal is answered, and so is an incomplete piece. Half a frame has
/// no answer.
fn shutdown(server: &Server) -> Vec<Heard> {
    let mut text = Guest::welcomed(server);
    let mut binary = Guest::new(server.connect("binary"));
    let mut echo = Guest::new(server.connect("echo"));
    binary.say([frame(ECHO, "in"), vec![ECHO, 0, 0]].concat(), frame(ECHO, "in"));
    echo.say("in\na piece", "Server received: in\n");
    text.say("ECHO on\nECHO half a comm", "ECHO on\n");
    server.process().signal("TERM");
    text.hear("BYE\n");
    echo.hear("Server received: a piece");
    vec![text.hear_end(), binary.hear_end(), echo.hear_end()]
}

#[test]
fn hearing_less_is_no_lie_and_hearing_something_else_is_one() {
    let heard = |got: &str| Heard {
        got: got.into(),
        expected: "ECHO on\nTIME 10:20\n".into(),
        otherwise: b"BUSY\n",
    };
    assert!(heard("ECHO on\nTIME 23:59\n").is_all());
    assert!(!heard("ECHO on\nTIME 2").is_all());
    assert!(heard("ECHO on\nTIME 2").is_true());
    assert!(heard("").is_true());
    assert!(heard("BUSY\n").is_true());
    assert!(!heard("ECHO no\n").is_true());
    assert!(!heard("ECHO on\nTIME 10:20\nECHO on\n").is_true());
}

//! The examples as running servers.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use mio::{Events, Interest, Poll, Token};
use tinytcp::{Builder, CloseReason, Handle, Limits, Status, Timeouts};
use tinytcp_core::protocol::text::BANNER;

use crate::support::wait::{PATIENCE, uninterrupted, wait_until};

#[allow(dead_code)]
#[path = "../../examples/calc.rs"]
mod calc;
#[allow(dead_code)]
#[path = "../../examples/chargen.rs"]
mod chargen;
#[allow(dead_code)]
#[path = "../../examples/shout.rs"]
mod shout;
#[allow(dead_code)]
#[path = "../../examples/status.rs"]
mod status;
#[allow(dead_code)]
#[path = "../../examples/whoami.rs"]
mod whoami;

/// A server in a new thread.
struct Running {
    addr: SocketAddr,
    handle: Handle,
    thread: JoinHandle<io::Result<Status>>,
}

impl Running {
    /// Runs `server` on any free port.
    fn new(server: impl FnOnce(SocketAddr) -> Builder) -> Self {
        let server = server(([127, 0, 0, 1], 0).into()).build().expect("a free port");
        let (addr, handle) =
            (server.addresses()[0].addr().expect("a listener of TCP"), server.handle());
        Self { addr, handle, thread: thread::spawn(|| server.run()) }
    }

    /// Runs a server with two listeners, and returns their addresses too.
    fn both(server: impl FnOnce(SocketAddr, SocketAddr) -> Builder) -> (Self, [SocketAddr; 2]) {
        let any = ([127, 0, 0, 1], 0).into();
        let server = server(any, any).build().expect("free ports");
        let addrs =
            [0, 1].map(|index: usize| server.addresses()[index].addr().expect("a listener of TCP"));
        let handle = server.handle();
        (Self { addr: addrs[0], handle, thread: thread::spawn(|| server.run()) }, addrs)
    }

    fn connect(&self) -> TcpStream {
        connect(self.addr)
    }

    fn stop(self) -> Status {
        self.handle.stop();
        self.thread.join().expect("the server does not panic").expect("the server does not fail")
    }
}

fn connect(addr: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(addr).expect("the server listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout above zero");
    stream.set_write_timeout(Some(PATIENCE)).expect("a timeout above zero");
    stream
}

mod calculating {
    use super::*;

    /// Returns the answers to `requests`.
    fn answers<const N: usize>(requests: [&[u8]; N]) -> [String; N] {
        let running = Running::new(calc::server);
        let mut stream = BufReader::new(running.connect());
        let read_line = |stream: &mut BufReader<TcpStream>| {
            let mut line = String::new();
            stream.read_line(&mut line).expect("a line in time");
            line.trim_end().to_owned()
        };
        assert_eq!(read_line(&mut stream), BANNER);
        let answers = requests.map(|request| {
            stream.get_mut().write_all(&[request, b"\n"].concat()).expect("the server reads");
            read_line(&mut stream)
        });
        drop(stream);
        running.stop();
        answers
    }

    #[test]
    fn an_expression_is_answered_with_its_value() {
        assert_eq!(
            answers([b"CALC 2 + 3", b"calc 2*(3+4)/4", b"CALC -1", b"CALC 2^10"]),
            ["CALC 5", "CALC 3.5", "CALC -1", "CALC 1024"]
        );
    }

    #[test]
    fn help_lists_it_after_the_commands_of_the_protocol() {
        let [help] = answers([b"HELP"]);
        assert!(help.starts_with("HELP COMMANDS: TIME | ECHO <TEXT> | HELP | QUIT | "), "{help}");
        assert!(help.ends_with(" | CALC <EXPRESSION>"), "{help}");
    }

    #[test]
    fn what_has_no_value_is_an_error_and_the_session_goes_on() {
        let requests: [&[u8]; 9] = [
            b"CALC",
            b"CALC 2 +",
            b"CALC ()",
            b"CALC 1/0",
            b"CALC x",
            b"CALC 1 2",
            b"CALC \xff",
            b"CALC ,",
            b"CALC {",
        ];
        assert_eq!(answers(requests), [(); 9].map(|()| "ERROR BAD_ARGUMENTS"));
    }

    #[test]
    fn no_depth_of_nesting_harms_the_server() {
        let nested = |depth: usize| ["CALC ", &"(".repeat(depth), "7", &")".repeat(depth)].concat();
        let signs = ["CALC ", &"-".repeat(254), "7"].concat();
        let requests = [
            nested(127),
            signs,
            nested(128),
            nested(32_000),
            ["CALC ", &"(".repeat(65_000)].concat(),
        ];
        assert_eq!(
            answers(requests.each_ref().map(String::as_bytes)),
            [
                "CALC 7",
                "CALC 7",
                "ERROR BAD_ARGUMENTS",
                "ERROR BAD_ARGUMENTS",
                "ERROR BAD_ARGUMENTS"
            ]
        );
    }
}

mod generating_characters {
    use super::*;

    /// Returns the first lines of the pattern, computed in a simple way.
    fn pattern(lines: usize) -> String {
        let ring: Vec<char> = (' '..='~').collect();
        (0..lines)
            .flat_map(|line| (0..72).map(move |column| line + column).map(Some).chain([None]))
            .map(|place| place.map_or("\r\n".to_owned(), |place| ring[place % 95].to_string()))
            .collect()
    }

    #[test]
    fn a_peer_that_reads_gets_the_pattern_of_the_rfc() {
        let running = Running::new(chargen::server);
        let mut received = vec![0; 74 * 10_000];
        running.connect().read_exact(&mut received).expect("characters in time");
        assert!(received == pattern(10_000).as_bytes());
        let first =
            br##" !"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\]^_`abcdefg"##;
        assert!(received.starts_with(first));
        running.stop();
    }

    #[test]
    fn what_a_peer_sends_is_thrown_away_while_it_is_talked_to() {
        let running = Running::new(chargen::server);
        let mut stream = running.connect();
        let mut block = vec![0; 64 << 10];
        // 16 MiB in each direction: more than the kernel holds for a server that does not read.
        for _ in 0..256 {
            stream.write_all(&block).expect("the server reads");
            stream.read_exact(&mut block).expect("characters in time");
        }
        drop(stream);
        assert!(running.stop().total().received_bytes > 8 << 20);
    }

    #[test]
    fn a_peer_that_never_reads_holds_bounded_bytes_and_is_reset() {
        let running = Running::new(|addr| {
            let timeout = Some(Duration::from_millis(200));
            chargen::server(addr).timeouts(Timeouts::default().with_write(timeout))
        });
        let stream = running.connect();
        stream.set_nonblocking(true).expect("a TCP socket");
        wait_for_reset(stream);
        let counters = running.stop().total();
        assert_eq!(counters.closed_for(CloseReason::WriteTimeout), 1);
        assert!(counters.sent_bytes < 16 << 20, "the kernel took {} bytes", counters.sent_bytes);
    }

    /// Waits until the server has reset the connection, without reading from it.
    fn wait_for_reset(stream: TcpStream) {
        let mut stream = mio::net::TcpStream::from_std(stream);
        let (mut poll, mut events) = (Poll::new().expect("a poller"), Events::with_capacity(8));
        poll.registry().register(&mut stream, Token(0), Interest::READABLE).expect("a watch");
        while !events.iter().any(mio::event::Event::is_error) {
            uninterrupted(|| poll.poll(&mut events, Some(PATIENCE))).expect("a poller that works");
            assert!(!events.is_empty(), "not reset in time");
        }
    }
}

mod shouting {
    use super::*;

    /// Returns the complete reply to `pieces`, each sent after the server has read the one before,
    /// and to the end of input.
    fn heard(pieces: [&[u8]; 2]) -> String {
        let running = Running::new(|addr| {
            shout::server(addr).limits(Limits::default().with_line_bytes_max(16))
        });
        let mut stream = running.connect();
        let mut sent_bytes = 0;
        for piece in pieces {
            stream.write_all(piece).expect("the server reads");
            sent_bytes += piece.len() as u64;
            wait_until("the server reads", || {
                let status = running.handle.status().expect("the server runs");
                status.total().received_bytes == sent_bytes
            });
        }
        stream.shutdown(std::net::Shutdown::Write).expect("a half-close");
        let mut heard = String::new();
        stream.read_to_string(&mut heard).expect("the end in time");
        running.stop();
        heard
    }

    #[test]
    fn a_line_comes_back_in_capitals_though_it_came_in_pieces() {
        assert_eq!(heard([b"hel", b"lo\nyou\r\nhalf a"]), "SAY SOMETHING\nHELLO\nYOU\r\n");
    }

    #[test]
    fn a_line_over_the_limit_is_refused_and_the_next_answered() {
        let long = "x".repeat(17);
        let expected = "SAY SOMETHING\nERROR LINE_TOO_LONG\nHI\n";
        assert_eq!(heard([long.as_bytes(), b"xxx\nhi\n"]), expected);
    }

    #[test]
    fn what_is_no_text_is_an_error_and_the_end() {
        assert_eq!(heard([b"\xff\n", b""]), "SAY SOMETHING\nERROR NOT_TEXT\n");
    }
}

mod naming_the_peer {
    use super::*;

    #[test]
    fn a_peer_of_text_gets_its_address_and_its_counts() {
        let (running, [text, _]) = Running::both(whoami::server);
        let mut stream = connect(text);
        let own = stream.local_addr().expect("connected");
        stream.write_all(b"ECHO hello\nWHOAMI\nwhoami now\nQUIT\n").expect("the server reads");
        let mut heard = String::new();
        stream.read_to_string(&mut heard).expect("the end in time");
        running.stop();
        let (known, age) = heard.split_once(" messages, ").expect("an answer");
        let expected = format!(
            "{BANNER}\nECHO hello\nWHOAMI {own} at text://{text}, connection 1, 34 bytes, 2"
        );
        assert_eq!(known, expected);
        assert!(age.ends_with(" s\nERROR BAD_ARGUMENTS\nBYE\n"), "{age}");
    }

    #[test]
    fn a_peer_of_binary_gets_the_same_in_a_frame() {
        let (running, [_, binary]) = Running::both(whoami::server);
        let first = connect(binary);
        let mut stream = connect(binary);
        let own = stream.local_addr().expect("connected");
        stream.write_all(b"\x40\0\0\0\0").expect("the server reads");
        stream.shutdown(std::net::Shutdown::Write).expect("a half-close");
        let mut heard = Vec::new();
        stream.read_to_end(&mut heard).expect("the end in time");
        drop(first);
        running.stop();
        let (header, told) = heard.split_at(5);
        assert_eq!(
            header,
            [&[1][..], &u32::try_from(told.len()).expect("short").to_be_bytes()].concat()
        );
        let expected = format!("{own} at binary://{binary}, connection 2, 5 bytes, 1 message, ");
        assert!(told.starts_with(expected.as_bytes()), "{}", told.escape_ascii());
    }
}

mod showing_the_state {
    use super::*;

    /// Returns the answer to `request`: the first line, and the body.
    fn answer(request: &[u8]) -> (String, String) {
        let (running, [text, status]) = Running::both(status::server);
        let idle = connect(text);
        // The greeting shows that the server has accepted the connection.
        uninterrupted(|| idle.peek(&mut [0])).expect("a greeting");
        let mut stream = connect(status);
        stream.write_all(request).expect("the server reads");
        let mut heard = String::new();
        stream.read_to_string(&mut heard).expect("the end in time");
        drop(idle);
        running.stop();
        let (head, body) = heard.split_once("\r\n\r\n").expect("a head");
        let (_, length) = head.split_once("Content-Length:").expect("a length");
        assert_eq!(length.trim_start().parse(), Ok(body.len()), "{heard}");
        (head.lines().next().unwrap_or_default().to_owned(), body.to_owned())
    }

    #[test]
    fn a_browser_sees_every_listener() {
        let (result, body) = answer(b"GET /status HTTP/1.1\r\nHost: here\r\n\r\n");
        assert_eq!(result, "HTTP/1.1 200 OK");
        let lines: Vec<_> = body.lines().collect();
        assert!(lines[0].ends_with(" 2 of 1000 connections open, 0 bytes in buffers"), "{body}");
        assert!(lines[1].starts_with("text://127.0.0.1:"), "{body}");
        assert!(
            lines[1].ends_with(": 1 open, 1 accepted; messages: 0; bytes: 0 in, 37 out"),
            "{body}"
        );
        assert!(
            lines[2].ends_with(": 1 open, 1 accepted; messages: 0; bytes: 36 in, 0 out"),
            "{body}"
        );
    }

    #[test]
    fn anything_else_is_an_error_of_http() {
        assert_eq!(answer(b"GET / HTTP/1.1\r\n\r\n").0, "HTTP/1.1 404 Not Found");
        assert_eq!(answer(b"POST /status HTTP/1.1\r\n\r\nbody").0, "HTTP/1.1 501 Not Implemented");
        let long = [b"GET /", &[b'x'; 9000][..]].concat();
        assert_eq!(answer(&long).0, "HTTP/1.1 431 Request Header Fields Too Large");
    }
}

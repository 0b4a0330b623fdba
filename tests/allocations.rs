//! Serving a message allocates nothing: a server answers over a real socket while every allocation
//! of this process is counted.
//!
//! The client prepares its buffers first and allocates nothing later. Other allocations, such as
//! those of the clock once a second or of the test runner, happen now and then; those of a message
//! happen each time. So a conversation is held several times, and the fewest allocations of one
//! time must be zero.

use std::alloc::System;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use tinytcp::Server;
use tinytcp::protocol::{Admin, Binary, Protocol, Text, chat, echo};
use tinytcp_core::protocol::text::BANNER;
use tinytcp_core::wire::frame::Header;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

#[path = "allocations/encrypted.rs"]
mod encrypted;

/// Held by the test that counts, because the allocations of another test would be counted too.
static COUNTING: Mutex<()> = Mutex::new(());

/// Longer than any answer takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

const WARM_UPS: usize = 4;
const TIMES: usize = 8;

/// Returns the fewest allocations of `converse`, of several times, with a server of `protocol` that
/// has warmed up.
fn fewest_allocations(
    protocol: impl Protocol + 'static,
    mut converse: impl FnMut(&mut TcpStream),
) -> usize {
    let _alone = COUNTING.lock().unwrap_or_else(PoisonError::into_inner);
    let server = Server::builder().listen(([127, 0, 0, 1], 0), protocol);
    let server = server.build().expect("a free port");
    let (bound, handle) = (server.addresses()[0].clone(), server.handle());
    let (name, addr) = (bound.protocol, bound.addr().expect("a listener of TCP"));
    let running = thread::spawn(|| server.run());
    let mut stream = TcpStream::connect(addr).expect("the server listens");
    stream.set_nodelay(true).expect("a TCP socket");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout above zero");
    stream.set_write_timeout(Some(PATIENCE)).expect("a timeout above zero");
    take_greeting(&mut stream, name);
    (0..WARM_UPS).for_each(|_| converse(&mut stream));
    let counts: [usize; TIMES] = std::array::from_fn(|_| {
        let region = Region::new(ALLOCATOR);
        converse(&mut stream);
        let change = region.change();
        change.allocations + change.reallocations
    });
    drop(stream);
    handle.stop();
    running.join().expect("the server does not panic").expect("the server does not fail");
    counts.into_iter().min().unwrap_or_default()
}

/// Reads the greeting. Of these protocols only `text` has one.
fn take_greeting(stream: &mut TcpStream, protocol: &str) {
    if protocol == "text" {
        let mut greeting = vec![0; BANNER.len() + 1];
        stream.read_exact(&mut greeting).expect("a greeting in time");
    }
}

/// Reads exactly `answer`, into a buffer of this length.
fn expect(stream: &mut TcpStream, buf: &mut [u8], answer: &[u8]) {
    stream.read_exact(buf).expect("an answer in time");
    assert!(buf == answer, "another answer: {}", buf[..buf.len().min(200)].escape_ascii());
}

/// Asserts that `request` causes no allocation, sent `repeats` times, each time after the answer to
/// the one before.
fn assert_one_at_a_time(
    protocol: impl Protocol + 'static,
    request: &[u8],
    answer: &[u8],
    repeats: usize,
) {
    let mut buf = vec![0; answer.len()];
    let count = fewest_allocations(protocol, |stream| {
        for _ in 0..repeats {
            stream.write_all(request).expect("the server reads");
            expect(stream, &mut buf, answer);
        }
    });
    assert_eq!(count, 0, "allocations for {repeats} messages, one at a time");
}

/// Asserts that 100 requests at once cause no allocation, ten times.
fn assert_pipelined(protocol: impl Protocol + 'static, request: &[u8], answer: &[u8]) {
    let (requests, answers) = (request.repeat(100), answer.repeat(100));
    assert_one_at_a_time(protocol, &requests, &answers, 10);
}

/// Asserts that a message causes no allocation whose last byte arrives together with all but the
/// last byte of the next one.
fn assert_in_two_pieces(protocol: impl Protocol + 'static, request: &[u8], answer: &[u8]) {
    let (last, front) = request.split_last().expect("a request");
    let pieces = [&[*last], front].concat();
    let mut buf = vec![0; answer.len()];
    let mut begun = false;
    let count = fewest_allocations(protocol, |stream| {
        if !begun {
            stream.write_all(front).expect("the server reads");
            begun = true;
        }
        for _ in 0..100 {
            stream.write_all(&pieces).expect("the server reads");
            expect(stream, &mut buf, answer);
        }
    });
    assert_eq!(count, 0, "allocations for 100 messages in two pieces");
}

fn frame(code: u8, payload: &[u8]) -> Vec<u8> {
    let payload_len = u32::try_from(payload.len()).expect("short");
    [&Header { code, payload_len }.encode()[..], payload].concat()
}

mod text {
    use super::*;

    #[test]
    fn one_request_at_a_time() {
        assert_one_at_a_time(Text::new(), b"ECHO hello\n", b"ECHO hello\n", 100);
    }

    #[test]
    fn pipelined_requests() {
        assert_pipelined(Text::new(), b"ECHO hello\n", b"ECHO hello\n");
    }

    #[test]
    fn requests_in_two_pieces() {
        assert_in_two_pieces(Text::new(), b"ECHO hello\n", b"ECHO hello\n");
    }

    #[test]
    fn the_time() {
        let mut buf = [0; "TIME 2025-09-12T17:24:13-05:00\n".len()];
        let count = fewest_allocations(Text::new(), |stream| {
            for _ in 0..100 {
                stream.write_all(b"TIME\n").expect("the server reads");
                stream.read_exact(&mut buf).expect("an answer in time");
            }
        });
        assert_eq!(count, 0);
    }

    #[test]
    fn errors() {
        let request = [b"NOPE\nECHO\n\n\xff\xf4NOPE\n".as_slice(), &[b'x'; 70_000], b"\n"].concat();
        let answer = b"ERROR UNKNOWN_COMMAND\nERROR BAD_ARGUMENTS\nERROR UNKNOWN_COMMAND\n\
            ERROR LINE_TOO_LONG\n"
            .as_slice();
        assert_one_at_a_time(Text::new(), &request, answer, 20);
    }

    #[test]
    fn lines_of_64_kib() {
        let line = [b"ECHO ".as_slice(), &[b'x'; (64 << 10) - 5], b"\n"].concat();
        assert_one_at_a_time(Text::new(), &line, &line, 50);
    }
}

mod binary {
    use super::*;

    #[test]
    fn one_request_at_a_time() {
        let request = frame(1, b"hello");
        assert_one_at_a_time(Binary::new(), &request, &request, 100);
    }

    #[test]
    fn pipelined_requests() {
        assert_pipelined(Binary::new(), &frame(1, b"hello"), &frame(1, b"hello"));
    }

    #[test]
    fn requests_in_two_pieces() {
        assert_in_two_pieces(Binary::new(), &frame(1, b"hello"), &frame(1, b"hello"));
    }

    #[test]
    fn reversing() {
        assert_one_at_a_time(
            Binary::new(),
            &frame(2, "a\u{20ac}b".as_bytes()),
            &frame(1, "b\u{20ac}a".as_bytes()),
            100,
        );
    }

    #[test]
    fn frames_of_200_kib() {
        let request = frame(1, &[b'x'; 200 << 10]);
        assert_one_at_a_time(Binary::new(), &request, &request, 50);
        assert_one_at_a_time(Binary::new(), &frame(2, &[b'x'; 200 << 10]), &request, 50);
    }

    #[test]
    fn the_status() {
        let mut buf = vec![0; 4096];
        let request = frame(4, b"");
        let count = fewest_allocations(Binary::new(), |stream| {
            for _ in 0..100 {
                stream.write_all(&request).expect("the server reads");
                stream.read_exact(&mut buf[..5]).expect("an answer in time");
                let len = usize::from(buf[3]) << 8 | usize::from(buf[4]);
                stream.read_exact(&mut buf[..len]).expect("an answer in time");
            }
        });
        assert_eq!(count, 0);
    }

    #[test]
    fn errors() {
        let unknown = frame(9, b"whatever");
        let invalid = frame(2, b"\xc3\x28");
        let answer = [frame(255, b"UNKNOWN_COMMAND"), frame(255, b"INVALID_UTF8")].concat();
        assert_one_at_a_time(Binary::new(), &[unknown, invalid].concat(), &answer, 100);
    }

    #[test]
    fn a_frame_that_is_too_large() {
        // 16 MiB and a byte, which the server drops on arrival.
        let request = frame(1, &vec![b'x'; (16 << 20) + 1]);
        assert_one_at_a_time(Binary::new(), &request, &frame(255, b"FRAME_TOO_LARGE"), 1);
    }
}

mod echo_and_chat {
    use super::*;

    #[test]
    fn one_line_at_a_time() {
        assert_one_at_a_time(echo(), b"hello\n", b"Server received: hello\n", 100);
        assert_one_at_a_time(chat(), b"a message\n", b"ACK: Received 'a message'\n", 100);
    }

    #[test]
    fn pipelined_lines() {
        assert_pipelined(echo(), b"hello\n", b"Server received: hello\n");
        assert_pipelined(chat(), b"a message\n", b"ACK: Received 'a message'\n");
    }

    #[test]
    fn lines_in_two_pieces() {
        assert_in_two_pieces(echo(), b"hello\n", b"Server received: hello\n");
        assert_in_two_pieces(chat(), b"a message\n", b"ACK: Received 'a message'\n");
    }

    #[test]
    fn messages_that_end_by_quiet() {
        assert_one_at_a_time(echo(), b"hello", b"Server received: hello", 2);
        assert_one_at_a_time(chat(), b"a message", b"ACK: Received 'a message'", 2);
    }

    #[test]
    fn the_time_of_day() {
        let mut buf = [0; "Server Time: 17:24:13\n".len()];
        let count = fewest_allocations(chat(), |stream| {
            for _ in 0..100 {
                stream.write_all(b"time\n").expect("the server reads");
                stream.read_exact(&mut buf).expect("an answer in time");
            }
        });
        assert_eq!(count, 0);
    }
}

mod admin {
    use super::*;

    /// Returns the fewest allocations of a connection with one request for `path`.
    fn fewest_for(path: &str) -> usize {
        let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
        let mut answer = vec![0; 64 << 10];
        fewest_allocations(Admin::new(), |first| {
            let addr = first.peer_addr().expect("a connected socket");
            let mut stream = TcpStream::connect(addr).expect("the server listens");
            stream.set_read_timeout(Some(PATIENCE)).expect("a timeout above zero");
            stream.write_all(request.as_bytes()).expect("the server reads");
            let mut len = 0;
            while let count @ 1.. = stream.read(&mut answer[len..]).expect("an answer in time") {
                len += count;
            }
            assert!(answer[..len].starts_with(b"HTTP/1.1 200 OK\r\n"));
        })
    }

    #[test]
    fn a_connection_with_one_request_allocates_only_its_session() {
        for path in ["/healthz", "/metrics", "/status", "/"] {
            assert_eq!(fewest_for(path), 1, "{path}");
        }
    }
}

#[test]
fn half_a_message_holds_its_own_length_and_returns_it() {
    const CONNECTIONS: usize = 100;
    let _alone = COUNTING.lock().unwrap_or_else(PoisonError::into_inner);
    let server = Server::builder().listen(([127, 0, 0, 1], 0), Text::new());
    let server = server.build().expect("a free port");
    let (addr, handle) =
        (server.addresses()[0].addr().expect("a listener of TCP"), server.handle());
    let running = thread::spawn(|| server.run());
    // Longer messages are mapped, and the allocator does not count them.
    let half = [b"ECHO ".as_slice(), &[b'x'; 3000]].concat();
    let line = [half.as_slice(), b"\n"].concat();
    let mut buf = vec![0; line.len()];
    let mut streams: Vec<TcpStream> = (0..=CONNECTIONS)
        .map(|_| {
            let mut stream = TcpStream::connect(addr).expect("the server listens");
            stream.set_read_timeout(Some(PATIENCE)).expect("a timeout above zero");
            take_greeting(&mut stream, "text");
            stream.write_all(&line).expect("the server reads");
            expect(&mut stream, &mut buf, &line);
            stream
        })
        .collect();
    let mut last = streams.pop().expect("one more than the others");
    let region = Region::new(ALLOCATOR);
    let held = || {
        let change = region.change();
        change.bytes_allocated.saturating_sub(change.bytes_deallocated)
    };
    streams.iter_mut().for_each(|stream| stream.write_all(&half).expect("the server reads"));
    let all_bytes = ((CONNECTIONS + 1) * line.len() + CONNECTIONS * half.len()) as u64;
    let deadline = Instant::now() + PATIENCE;
    while handle.status().expect("the server runs").total().received_bytes < all_bytes {
        assert!(Instant::now() < deadline, "the halves are not read");
    }
    // After one more round trip, the turns that have read the messages are over.
    last.write_all(&line).expect("the server reads");
    expect(&mut last, &mut buf, &line);
    let waiting = held();
    for stream in &mut streams {
        stream.write_all(b"\n").expect("the server reads");
        expect(stream, &mut buf, &line);
    }
    let answered = held();
    drop((streams, last));
    handle.stop();
    running.join().expect("the server does not panic").expect("the server does not fail");
    let sent = CONNECTIONS * half.len();
    assert!((sent..2 * sent).contains(&waiting), "{sent} bytes are held in {waiting}");
    // The memory that is kept for later messages is a constant of the server.
    assert!(answered < 512 << 10, "{answered} of {waiting} bytes are still held");
}

#[test]
fn an_allocation_would_be_counted() {
    let _alone = COUNTING.lock().unwrap_or_else(PoisonError::into_inner);
    let region = Region::new(ALLOCATOR);
    drop(std::hint::black_box(vec![0_u8; 64]));
    assert!(region.change().allocations > 0);
}

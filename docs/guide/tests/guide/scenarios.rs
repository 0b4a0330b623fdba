//! The clients of the guide. Each does one thing to a program and returns what came of it.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use crate::program::{Program, greet, settle};
use crate::support::peer::Peer;
use crate::support::wait::{PATIENCE, wait_for, wait_until};

/// For how long a client waits for what a trap never sends. On a slow machine a trap does not send
/// it either.
pub const TRAPPED: Duration = Duration::from_millis(300);

/// For how long a client waits for what a repaired program sends at once.
pub const REPAIRED: Duration = PATIENCE;

/// Five times as many bytes as fit on both ways between a client with small segments and a program.
const LARGE_BYTES: usize = 1 << 20;

/// More than all kernel buffers of a connection, and so more than the memory of a small server.
const HUGE_BYTES: usize = 64 << 20;

/// How often [`ask_small_requests`] asks.
pub const SMALL_REQUESTS: usize = 1000;

/// The line of [`send_a_line_byte_by_byte`].
pub const LINE_BYTES: usize = 1000;

/// Step 0. A client asks while another one is connected and silent.
///
/// Returns true when it is answered before the silent one leaves.
pub fn ask_beside_a_silent_client(program: &Program, patience: Duration) -> bool {
    let silent = program.connect();
    let mut second = program.connect();
    second.send("hello\n");
    let is_answered = answers_within(&second, patience);
    drop(silent);
    second.expect("hello\n");
    is_answered
}

/// Step 1. A client sends 30 bytes in one piece, and then 1 more byte.
///
/// Checks that it gets `before` for the first piece, and `after` for the last byte.
pub fn send_two_chunks(program: &Program, before: &str, after: &str) {
    let mut bystander = program.connect_and_greet();
    let mut peer = program.connect_and_greet();
    peer.send("the first chunk, and the rest\n");
    peer.expect(before);
    settle(&mut bystander);
    assert!(!peer.has_bytes(), "more than {before:?} arrives");
    peer.send("!");
    peer.expect(after);
}

/// Step 2. A client sends all of its requests and reads the answers afterwards.
///
/// Returns true when all answers arrive.
pub fn send_all_then_read(program: &Program) -> bool {
    let mut peer = program.connect_with_small_segments();
    let requests = lines(LARGE_BYTES);
    let is_sent = peer.try_send(&requests);
    settle(&mut program.connect());
    is_sent && peer.read_until_ended(requests.len()) == requests
}

/// Step 2. A client asks [`SMALL_REQUESTS`] times, each time after the answer before, and leaves.
///
/// Returns how many turns its connection has had.
pub fn ask_small_requests(program: &Program) -> usize {
    let mut peer = program.connect();
    (0..SMALL_REQUESTS).for_each(|_| greet(&mut peer));
    drop(peer);
    logged(program, "connection 0: ", " turns")
}

/// Step 3. A client sends and does not read, until nothing is taken any more or all is sent.
///
/// Returns the number of bytes that were taken, or none when all were. Checks the answers.
pub fn send_without_reading(program: &Program, is_bounded: bool) -> Option<usize> {
    let mut peer = program.connect();
    let chunk = lines(1 << 16);
    if is_bounded {
        let sent = peer.send_until_stuck(&chunk);
        let expected = chunk.iter().copied().cycle().take(sent);
        assert!(peer.read_exact(sent).into_iter().eq(expected), "an answer is wrong");
        return Some(sent);
    }
    (0..HUGE_BYTES / chunk.len()).for_each(|_| peer.send(&chunk));
    None
}

/// Step 4. One client sends 60,000 bytes, then another one sends 6, before the program looks.
///
/// Returns the turns in their order: the connection, 0 or 1, and the bytes of its turn.
pub fn flood_beside_a_short_request(program: &Program) -> Vec<(usize, usize)> {
    let mut flood = program.connect_and_greet();
    let mut short = program.connect_and_greet();
    wait_until("both turns are logged", || turns(program).len() == 2);
    let requests = lines(60_000);
    program.while_stopped(|| {
        flood.send(&requests);
        short.send("short\n");
    });
    short.expect("short\n");
    flood.expect(&requests);
    let is_all = |turns: &[(usize, usize)]| {
        turns.iter().map(|(_, bytes)| bytes).sum::<usize>() == 2 * 6 + requests.len() + 6
    };
    wait_until("all turns are logged", || is_all(&turns(program)));
    turns(program).split_off(2)
}

/// Step 4. The reader of the program's log goes away, and a client asks 100 times.
///
/// Returns true when the program answers all requests.
pub fn ask_after_the_log_is_closed(program: &Program) -> bool {
    let mut peer = program.connect();
    (0..100).all(|_| peer.try_send(b"hello\n") && peer.try_expect(b"hello\n"))
}

/// Step 5. A client sends a line of [`LINE_BYTES`] bytes, each byte after the program has read the
/// byte before, and leaves.
///
/// Returns how many bytes the program has examined in its searches for the newline.
pub fn send_a_line_byte_by_byte(program: &Program) -> usize {
    let mut bystander = program.connect_and_greet();
    let mut peer = program.connect();
    let line = [&[b'x'; LINE_BYTES - 1], &b"\n"[..]].concat();
    for byte in &line {
        peer.send([*byte]);
        settle(&mut bystander);
    }
    peer.expect(line);
    drop(peer);
    logged(program, "connection 1: ", " bytes examined")
}

/// Step 5. A client sends its last request and its end of input in one segment.
///
/// Returns true when the program closes the connection after the answer.
pub fn send_a_request_with_the_end(program: &Program, patience: Duration) -> bool {
    let mut bystander = program.connect_and_greet();
    let mut peer = program.connect_and_greet();
    peer.send_with_end(b"last\n");
    peer.expect("last\n");
    settle(&mut bystander);
    peer.set_patience(patience);
    peer.is_ended_by_server()
}

/// Step 5. A client sends 40,000 bytes of requests, QUIT, and then more. It reads afterwards, and
/// after the close if the program closes at once.
///
/// Returns how many bytes of the 40,004 arrive.
pub fn quit_with_requests_under_way(program: &Program, closes_at_once: bool) -> usize {
    let mut peer = program.connect_with_small_window();
    greet(&mut peer);
    let requests = lines(40_000);
    let open = program.process().descriptors().len();
    program.while_stopped(|| {
        peer.send(&requests);
        peer.send("QUIT\n");
        peer.send(lines(10_000));
    });
    if closes_at_once {
        wait_until("a close", || program.process().descriptors().len() < open);
    }
    let answers = peer.read_until_ended(requests.len() + b"BYE\n".len());
    settle(&mut program.connect());
    let expected = [&requests, &b"BYE\n"[..]].concat();
    assert!(expected.starts_with(&answers), "an answer is wrong");
    answers.len()
}

/// Step 6. Two clients take the last descriptors, a third one waits, and the first one leaves.
///
/// Returns true when the third one is answered before a fourth one connects.
pub fn wait_for_a_descriptor(program: &Program, patience: Duration) -> bool {
    let process = program.process();
    process.limit_descriptors(process.lowest_free_descriptor() + 2);
    let first = program.connect_and_greet();
    let mut bystander = program.connect_and_greet();
    let mut third = program.connect();
    third.send("hello\n");
    program.wait_for_log("cannot accept");
    drop(first);
    settle(&mut bystander);
    let is_answered = answers_within(&third, patience);
    if !is_answered {
        let _fourth = program.connect();
        third.expect("hello\n");
    }
    is_answered
}

/// Step 6. A client waits for a descriptor, and the limit is raised.
pub fn wait_for_a_higher_limit(program: &Program) {
    let process = program.process();
    process.limit_descriptors(process.lowest_free_descriptor());
    let mut peer = program.connect();
    peer.send("hello\n");
    program.wait_for_log("cannot accept");
    process.limit_descriptors(64);
    peer.expect("hello\n");
}

/// Step 6. A client connects and resets the connection before it is accepted.
///
/// Returns true when the program serves the next client.
pub fn reset_before_accept(program: &Program) -> bool {
    program.while_stopped(|| program.connect().reset());
    let Some(mut next) = program.try_connect() else { return false };
    next.try_send(b"hello\n") && next.try_expect(b"hello\n")
}

/// The clients of [`fill_the_queue`]: more than 128 places take, even where the kernel counts the
/// last handshakes late.
pub const QUEUED_CLIENTS: usize = 200;

/// Step 6. [`QUEUED_CLIENTS`] clients connect while the program accepts nothing.
///
/// Returns true when the queue has a place for each of them. A full queue stays full, however long
/// a client waits.
pub fn fill_the_queue(program: &Program, patience: Duration) -> bool {
    let mut queued = Vec::new();
    program.while_stopped(|| {
        queued.extend((0..QUEUED_CLIENTS).map_while(|_| program.connect_within(patience)));
    });
    queued.len() == QUEUED_CLIENTS
}

/// The longest queue that this kernel keeps, whatever a program asks for.
pub fn longest_queue() -> usize {
    let text = fs::read_to_string("/proc/sys/net/core/somaxconn").expect("Linux reports it");
    text.trim().parse().expect("a number")
}

/// Step 7. A client leaves at the moment at which the program closes its connection to make room
/// for the next one.
///
/// Returns true when the next one can ask twice.
pub fn take_the_place_of_a_client_that_leaves(program: &Program) -> bool {
    let leaving = program.connect_and_greet();
    let mut staying = program.connect_and_greet();
    let process = program.process();
    process.limit_descriptors(process.lowest_free_descriptor());
    let mut next = None;
    program.while_stopped(|| {
        next = Some(program.connect());
        drop(leaving);
    });
    let mut next = next.expect("connected");
    greet(&mut next);
    settle(&mut staying);
    next.try_send(b"hello\n") && next.try_expect(b"hello\n")
}

/// Step 8. A client connects and is silent.
///
/// Returns true when its connection is closed before another client comes.
pub fn stay_silent(program: &Program, patience: Duration) -> bool {
    let mut silent = program.connect();
    silent.set_patience(patience);
    if silent.is_ended_by_server() {
        return true;
    }
    let _next = program.connect();
    silent.set_patience(PATIENCE);
    assert!(silent.is_ended_by_server(), "the connection outlives its deadline");
    false
}

/// Step 8. A request has arrived when the signal to stop comes.
///
/// Returns what the client reads, and the exit code.
pub fn ask_and_stop(program: &mut Program) -> (String, Option<i32>) {
    let mut peer = program.connect_and_greet();
    program.while_stopped(|| {
        peer.send("last\n");
        program.process().signal("TERM");
    });
    let answer = peer.read_until_ended(100);
    drop(peer);
    (text(&answer), program.wait().code())
}

/// Whole lines of 10 bytes, all different, `len` bytes in all.
fn lines(len: usize) -> Vec<u8> {
    let mut bytes: Vec<u8> =
        (0..=len / 10).flat_map(|number| format!("{number:09}\n").into_bytes()).collect();
    bytes.truncate(len);
    bytes
}

/// The number that the program logs between two texts, once it does.
fn logged(program: &Program, before: &str, after: &str) -> usize {
    let number = |line: String| line.strip_prefix(before)?.strip_suffix(after)?.parse().ok();
    wait_for(before, || program.log().into_iter().find_map(number))
}

/// The turns that the log of step 4 shows.
fn turns(program: &Program) -> Vec<(usize, usize)> {
    let turn = |line: String| {
        let (key, bytes) =
            line.strip_prefix("connection ")?.strip_suffix(" bytes")?.split_once(": a turn of ")?;
        Some((key.parse().ok()?, bytes.parse().ok()?))
    };
    program.log().into_iter().filter_map(turn).collect()
}

/// True as soon as there is something to read, false after `time`.
fn answers_within(peer: &Peer, time: Duration) -> bool {
    let deadline = Instant::now() + time;
    while !peer.has_bytes() && Instant::now() < deadline {
        thread::sleep(Duration::from_millis(2));
    }
    peer.has_bytes()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

//! SIGTERM at any moment under load: every answer is whole and in order, and then the server closes
//! in order.

use crate::support::frames::{ECHO, frame};
use crate::support::peer::{Peer, shown};
use crate::support::server::Server;
use crate::support::wait::wait_until;
use crate::support::{BANNER, PROTOCOLS, repetitions};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

/// The seed of the moments. It is printed with each failure.
const SEED: u64 = 0x7374_6f70;

/// Clients of each protocol.
const CLIENTS: usize = 2;

/// The most that all clients together have received at the signal.
const MOMENT_BYTES_MAX: u64 = 4 << 20;

/// Returns a pseudo-random number, which is always the same for the same `index`.
const fn chance(index: u64) -> u64 {
    let mixed = (SEED ^ index).wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed ^ (mixed >> 31)
}

/// Returns the text of message `index`: its number, and up to 300 bytes.
fn words(index: u64) -> Vec<u8> {
    format!("{index} {}", "x".repeat((chance(index) % 300) as usize)).into_bytes()
}

fn message(protocol: &str, index: u64) -> Vec<u8> {
    match protocol {
        "text" => [b"ECHO ", words(index).as_slice(), b"|\n"].concat(),
        "binary" => frame(ECHO, words(index)),
        _ => [words(index).as_slice(), b"\n"].concat(),
    }
}

/// Returns the answer to `words`, which are a whole message, or in `echo` and `chat` the piece at
/// the end of the input.
fn answer(protocol: &str, words: &[u8], ending: &[u8]) -> Vec<u8> {
    match protocol {
        "text" => [b"ECHO ", words, b"|", ending].concat(),
        "binary" => frame(ECHO, words),
        "echo" => [b"Server received: ", words, ending].concat(),
        _ => [b"ACK: Received '", words, b"'", ending].concat(),
    }
}

/// Sends requests in batches, each after the answer to the one before, until the server closes.
/// Returns all that the server has sent.
fn converse(protocol: &'static str, mut peer: Peer, received: &AtomicU64) -> Vec<u8> {
    let (mut said, mut index) = (Vec::new(), 0);
    let mut answers_len = if protocol == "text" { BANNER.len() } else { 0 };
    loop {
        while said.len() < answers_len {
            let bytes = peer.read_some(64 << 10);
            if bytes.is_empty() {
                return said;
            }
            received.fetch_add(bytes.len() as u64, Ordering::Relaxed);
            said.extend(bytes);
        }
        let batch = index..index + 1 + chance(index) % 200;
        index = batch.end;
        answers_len +=
            batch.clone().map(|index| answer(protocol, &words(index), b"\n").len()).sum::<usize>();
        // Once the server has closed, sending may fail. What it has sent can still be read.
        peer.try_send(&batch.flat_map(|index| message(protocol, index)).collect::<Vec<u8>>());
    }
}

/// Checks that `said` is whole answers in order, the farewell of the protocol, and nothing else.
fn check(protocol: &str, said: &[u8]) {
    let greeting = if protocol == "text" { BANNER } else { b"" };
    let mut rest = said.strip_prefix(greeting).expect("a greeting that is whole");
    let mut index = 0;
    while let Some(after) = rest.strip_prefix(answer(protocol, &words(index), b"\n").as_slice()) {
        rest = after;
        index += 1;
    }
    let is_whole = match protocol {
        "text" => rest == b"BYE\n",
        "binary" => rest.is_empty(),
        _ => {
            let next = words(index);
            rest.is_empty()
                || (1..=next.len()).any(|len| rest == answer(protocol, &next[..len], b""))
        }
    };
    assert!(is_whole, "{protocol} after {index} answers: {}", shown(rest));
}

#[test]
fn whenever_the_signal_comes_no_answer_is_cut_in_half() {
    for round in 0..repetitions(8, 30) as u64 {
        let moment = chance(round) % MOMENT_BYTES_MAX;
        println!("round {round} of seed {SEED:#x}: SIGTERM after {moment} bytes");
        // The timeout is too long to cut a client off: clients that read their answers delay
        // nothing. And no message ends before its newline because a busy machine pauses within it.
        let mut server = Server::start(&[
            "--drain-timeout",
            "1h",
            "--quiet-period",
            "1h",
            "--activity-log",
            "1",
        ]);
        let received = Arc::new(AtomicU64::new(0));
        let clients: Vec<_> = (PROTOCOLS.into_iter().cycle().take(CLIENTS * PROTOCOLS.len()))
            .map(|protocol| {
                let (peer, received) = (server.connect(protocol), Arc::clone(&received));
                (protocol, thread::spawn(move || converse(protocol, peer, &received)))
            })
            .collect();
        wait_until("the moment comes", || received.load(Ordering::Relaxed) >= moment);
        server.process().signal("TERM");
        for (protocol, client) in clients {
            check(protocol, &client.join().expect("a clean end"));
        }
        assert_eq!(server.wait_for_exit().code(), Some(0));
    }
}

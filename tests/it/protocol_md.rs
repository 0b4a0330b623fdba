//! The transcripts of `protocol.md`, executed: each block with a new server.

use crate::support::PROTOCOLS;
use crate::support::clock::{COVER, cover_local_times};
use crate::support::peer::{Peer, difference};
use crate::support::server::Server;
use crate::support::transcripts::{Step, Transcript};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

#[test]
fn the_transcripts_of_text_are_true() {
    execute("text");
}

#[test]
fn the_transcripts_of_binary_are_true() {
    execute("binary");
}

#[test]
fn the_transcripts_of_echo_are_true() {
    execute("echo");
}

#[test]
fn the_transcripts_of_chat_are_true() {
    execute("chat");
}

#[test]
fn every_block_is_a_transcript_and_ends_each_connection() {
    for transcript in transcripts() {
        let line = transcript.first_line;
        assert!(
            PROTOCOLS.contains(&transcript.protocol.as_str()),
            "protocol.md:{line}: {}",
            transcript.protocol
        );
        let mut ended = BTreeMap::new();
        for step in &transcript.steps {
            match step {
                Step::Send(peer, _) | Step::Expect(peer, _) | Step::HalfClose(peer) => {
                    ended.insert(*peer, false)
                }
                Step::ExpectEof(peer) => ended.insert(*peer, true),
                Step::Signal(_) => None,
            };
        }
        assert!(
            ended.values().all(|ended| *ended),
            "protocol.md:{line}: a transcript ends with <eof>"
        );
    }
}

#[test]
fn every_error_is_shown_for_each_protocol_that_sends_it() {
    let transcripts = transcripts();
    for (token, protocols) in error_table() {
        for protocol in protocols {
            let shown = transcripts
                .iter()
                .filter(|transcript| transcript.protocol == protocol)
                .any(|transcript| {
                    transcript.steps.iter().any(|step| match step {
                        Step::Expect(_, bytes) => String::from_utf8_lossy(bytes).contains(&token),
                        _ => false,
                    })
                });
            assert!(shown, "protocol.md shows no {protocol} transcript with {token}");
        }
    }
}

fn execute(protocol: &str) {
    let transcripts: Vec<_> =
        transcripts().into_iter().filter(|transcript| transcript.protocol == protocol).collect();
    assert!(!transcripts.is_empty(), "protocol.md shows no transcript of {protocol}");
    for transcript in transcripts {
        println!("protocol.md:{}", transcript.first_line);
        let flags: Vec<&str> = transcript.flags.iter().map(String::as_str).collect();
        run(&transcript, &mut Server::start(&flags));
    }
}

fn run(transcript: &Transcript, server: &mut Server) {
    let mut peers = BTreeMap::new();
    let address = server.address(&transcript.protocol);
    for step in &transcript.steps {
        let mut peer =
            |name: &char| peers.entry(*name).or_insert_with(|| Peer::connect(address)).twin();
        match step {
            Step::Send(name, bytes) => peer(name).send(bytes),
            Step::HalfClose(name) => peer(name).half_close(),
            Step::Expect(name, expected) => expect(&mut peer(name), expected),
            Step::ExpectEof(name) => peer(name).expect_eof(),
            Step::Signal(signal) => server.process().signal(signal),
        }
    }
    // The server waits for the end of a peer before it frees its own.
    drop(peers);
    if transcript.steps.iter().any(|step| matches!(step, Step::Signal(_))) {
        assert!(server.wait_for_exit().success(), "an ordered end is a success");
    }
}

/// Stands for the values of a status, up to the end of its line.
const VALUES: &str = "<values>\n";

/// Reads the bytes that `expected` stands for.
fn expect(peer: &mut Peer, expected: &[u8]) {
    let text = String::from_utf8_lossy(expected);
    if let Some(front) = text.strip_suffix(VALUES) {
        let got = peer.read_line();
        return assert!(got.starts_with(front), "{got} begins with {front}");
    }
    let covers = text.matches(COVER).count();
    let time_len = match text.contains("Server Time: ") {
        true => "17:24:13".len(),
        false => "2025-09-12T17:24:13-05:00".len(),
    };
    let got = cover_local_times(
        &peer.read_exact(expected.len() - covers * COVER.len() + covers * time_len),
    );
    assert!(got == expected, "{}", difference(&got, expected));
}

/// Returns the tokens of the table of errors, each with the protocols that send it.
fn error_table() -> Vec<(String, Vec<String>)> {
    let page = page();
    let (_, after) = page.split_once("| token | sent by |").expect("the table of errors");
    let rows = after.lines().skip(2).take_while(|line| line.starts_with('|'));
    let table: Vec<_> = rows
        .map(|row| {
            let cells: Vec<&str> = row.split('|').map(str::trim).collect();
            let protocols = match cells[2] {
                "all" => PROTOCOLS.map(str::to_owned).to_vec(),
                some => some.split(", ").map(|name| name.trim_matches('`').to_owned()).collect(),
            };
            (cells[1].trim_matches('`').to_owned(), protocols)
        })
        .collect();
    assert!(!table.is_empty(), "the table of errors has rows");
    table
}

fn page() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("protocol.md");
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn transcripts() -> Vec<Transcript> {
    crate::support::transcripts::read(&page())
}

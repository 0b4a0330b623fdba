//! Ten thousand encrypted connections at the same time.

use super::start_with;
use crate::support::BANNER;
use crate::support::certificates::Files;
use crate::support::open_files::OpenFiles;
use crate::support::server::Server;
use crate::support::tls_client::{Client, Encrypted};
use std::io::{Read, Write};
use std::thread;

const CLIENTS: usize = 10_000;

/// The most memory of a connection, with the keys of both directions and the state of the library.
const BYTES_MAX: usize = 4500;

/// Sends a request and reads its answer.
fn ask(stream: &mut Encrypted, request: &[u8]) {
    stream.get_mut().write_all(request).expect("send");
    let mut answer = vec![0; request.len()];
    stream.read_exact(&mut answer).expect("an answer");
    assert_eq!(answer, request);
}

/// Opens connections on each of which one request is answered.
fn open(server: &Server, client: &Client, count: usize) -> Vec<Encrypted> {
    let one = |_| {
        let mut stream = client.connect(server, "text").expect("a handshake");
        let mut banner = vec![0; BANNER.len()];
        stream.read_exact(&mut banner).expect("a greeting");
        assert_eq!(banner, BANNER);
        ask(&mut stream, b"ECHO hello\n");
        stream
    };
    (0..count).map(one).collect()
}

#[test]
#[ignore = "takes a minute: .ci/run does it"]
fn ten_thousand_idle_clients_fit_their_memory_and_end_in_order() {
    let files = Files::new("crowd");
    let _open_files = OpenFiles::take(CLIENTS);
    let flags = ["--activity-log", "1", "--idle-timeout", "off", "--drain-timeout", "5m"];
    let mut server = start_with(&files, &flags);
    let client = Client::new(&files.authority.certificate(), None);
    // These connections cause all allocations that a server makes only once.
    drop(open(&server, &client, 200));
    let before = server.process().resident_bytes();
    let (server_now, client_now) = (&server, &client);
    let mut streams: Vec<Encrypted> = thread::scope(|scope| {
        let half = || scope.spawn(|| open(server_now, client_now, CLIENTS / 2));
        let halves = [half(), half()];
        halves.into_iter().flat_map(|half| half.join().expect("all are served")).collect()
    });
    let grown = server.process().resident_bytes().saturating_sub(before);
    println!("{} bytes of resident memory for each idle connection", grown / CLIENTS);
    assert!(grown < CLIENTS * BYTES_MAX, "{CLIENTS} idle connections cost {grown} bytes");
    for (index, stream) in streams.iter_mut().enumerate() {
        ask(stream, format!("ECHO {index}\n").as_bytes());
    }
    server.process().signal("TERM");
    for mut stream in streams {
        let mut rest = Vec::new();
        // An end without a close_notify is an error here.
        stream.read_to_end(&mut rest).expect("an authentic end");
        assert_eq!(rest, b"BYE\n");
    }
    assert_eq!(server.wait_for_exit().code(), Some(0));
}

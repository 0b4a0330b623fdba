//! The memory that an idle connection holds after its messages: none, by the count of the allocator
//! and by that of the system.
#![cfg(target_os = "linux")]

use std::alloc::System;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::Duration;

use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use tinytcp::protocol::Binary;
use tinytcp::{Server, Settings};
use tinytcp_core::protocol::binary::ECHO;
use tinytcp_core::wire::frame::Header;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Longer than any answer takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

const CONNECTIONS: usize = 1000;

/// The most memory of the allocator that 1000 connections together hold, after each of them has
/// been busy once.
const LEFT_BYTES_MAX: usize = 64 << 10;
/// The same for memory of the system, which includes mapped blocks for long messages, and what the
/// allocator keeps for itself.
const LEFT_DATA_BYTES_MAX: usize = 4 << 20;

const PAYLOAD_LEN: usize = 1 << 20;

/// A frame of one byte.
const SMALL: [u8; 6] = [ECHO, 0, 0, 0, 1, b'x'];

/// Sends `request` and reads its answer.
fn ask(stream: &mut TcpStream, request: &[u8], answer: &mut [u8]) {
    stream.write_all(request).expect("the server takes a frame in whole");
    stream.read_exact(answer).expect("an answer in time");
    assert!(answer == request, "another answer");
}

/// Returns the bytes of writable memory that the system has mapped for this process.
fn data_bytes() -> usize {
    let status = fs::read_to_string("/proc/self/status").expect("a status of this process");
    let line =
        status.lines().find_map(|line| line.strip_prefix("VmData:")).expect("a line about it");
    line.trim().trim_end_matches(" kB").parse::<usize>().expect("a number of kB") * 1024
}

#[test]
fn a_mebibyte_on_each_of_1000_connections_leaves_no_memory() {
    rlimit::increase_nofile_limit(4000).expect("descriptors for both ends");
    let mut settings = Settings::default();
    settings.connections_max = 2 * CONNECTIONS;
    settings.activity_lines_max = None;
    let server = Server::builder().listen(([127, 0, 0, 1], 0), Binary::new()).settings(settings);
    let server = server.build().expect("a free port");
    let (addr, handle) =
        (server.addresses()[0].addr().expect("a listener of TCP"), server.handle());
    let running = thread::spawn(|| server.run());
    let large = [
        &Header { code: ECHO, payload_len: PAYLOAD_LEN as u32 }.encode()[..],
        &vec![b'x'; PAYLOAD_LEN],
    ]
    .concat();
    let (mut large_answer, mut small_answer) = (vec![0; large.len()], SMALL);
    let mut streams: Vec<TcpStream> = (0..CONNECTIONS)
        .map(|_| {
            let mut stream = TcpStream::connect(addr).expect("the server listens");
            stream.set_read_timeout(Some(PATIENCE)).expect("a timeout above zero");
            stream.set_write_timeout(Some(PATIENCE)).expect("a timeout above zero");
            ask(&mut stream, &SMALL, &mut small_answer);
            stream
        })
        .collect();
    // The first connection causes all allocations that a server makes only once.
    let (first, others) = streams.split_first_mut().expect("connections");
    ask(first, &large, &mut large_answer);
    ask(first, &SMALL, &mut small_answer);
    let (region, data_before) = (Region::new(ALLOCATOR), data_bytes());
    others.iter_mut().for_each(|stream| ask(stream, &large, &mut large_answer));
    // After one more round trip, the last connection has returned its buffers.
    ask(first, &SMALL, &mut small_answer);
    let change = region.change();
    let left = change.bytes_allocated.saturating_sub(change.bytes_deallocated);
    let data_left = data_bytes().saturating_sub(data_before);
    drop(streams);
    handle.stop();
    let status =
        running.join().expect("the server does not panic").expect("the server does not fail");
    assert!(status.held_bytes_most > PAYLOAD_LEN, "each of them held its frame for a while");
    assert!(
        data_left <= LEFT_DATA_BYTES_MAX,
        "{CONNECTIONS} idle connections hold {data_left} bytes more of the system"
    );
    assert!(
        left <= LEFT_BYTES_MAX,
        "{CONNECTIONS} idle connections hold {left} bytes more than before"
    );
}

//! Tests of the memory that encrypted connections hold.

use super::super::{MESSAGE, MILLISECOND, SECOND, closed_for};
use super::client::{connect, encrypted};
use crate::buffers::pool::BLOCK_LEN;
use crate::close_reason::CloseReason;
use crate::limits::{Limits, Settings};
use crate::protocol::binary::Binary;
use crate::protocol::text::Text;

#[test]
fn an_idle_connection_holds_no_storage() {
    let mut harness = encrypted(Text::new(), Settings::default());
    let mut client = connect(&mut harness);
    client.ask(&mut harness, b"ECHO a\n");
    assert_eq!(harness.event_loop.inspect().lent_bytes, 0);
}

#[test]
fn a_part_of_a_record_is_held_in_as_few_bytes_as_it_needs() {
    let mut harness = encrypted(Text::new(), Settings::default());
    let mut client = connect(&mut harness);
    let line = format!("ECHO {}\n", "a".repeat(200));
    let records = client.seal(line.as_bytes());
    let (front, last) = records.split_at(records.len() - 1);
    client.peer.send(front);
    harness.run_until_idle();
    let held = harness.event_loop.inspect().lent_bytes;
    assert!((front.len()..=4 * front.len()).contains(&held), "{held} bytes are held");
    client.peer.send(last);
    client.exchange(&mut harness);
    assert_eq!(client.take_received(), line);
    assert_eq!(harness.event_loop.inspect().lent_bytes, 0);
}

#[test]
fn a_record_must_arrive_within_the_time_of_a_message() {
    let mut harness = encrypted(Text::new(), Settings::default());
    let mut client = connect(&mut harness);
    let records = client.seal(b"ECHO a\n");
    for byte in &records[..10] {
        client.peer.send(&[*byte]);
        harness.run_for(MESSAGE / 10 - MILLISECOND);
    }
    assert!(!client.peer.link.borrow().sent_end);
    harness.run_for(SECOND);
    client.open();
    assert_eq!(client.take_received(), "ERROR MESSAGE_TIMEOUT\n");
    client.peer.send_and_end(b"");
    harness.run_until_idle();
    assert_eq!(closed_for(&harness, CloseReason::MessageTimeout), 1);
}

#[test]
fn parts_of_records_are_evicted_at_the_memory_limit() {
    let limits = Limits::default().with_memory_bytes_max(1 << 20);
    let mut harness = encrypted(Binary::new(), Settings { limits, ..Settings::default() });
    let clients: Vec<_> = (0..100)
        .map(|_| {
            let mut client = connect(&mut harness);
            let records = client.seal(&[b'x'; 15_000]);
            client.peer.send(&records[..14_000]);
            harness.run_until_idle();
            client
        })
        .collect();
    assert!(closed_for(&harness, CloseReason::MemoryLimit) > 0);
    assert!(harness.event_loop.inspect().lent_bytes <= 1 << 20);
    let open = clients.iter().filter(|client| !client.peer.is_closed()).count();
    assert!(open > 20, "{open} connections are left");
}

#[test]
fn a_turn_stays_within_the_memory_limit() {
    let limits = Limits::default().with_memory_bytes_max(1 << 20);
    let mut harness = encrypted(Text::new(), Settings { limits, ..Settings::default() });
    let mut client = connect(&mut harness);
    client.peer.set_room(0);
    for _ in 0..20 {
        let records = client.seal(&b"ECHO a longer line than most\n".repeat(500));
        client.peer.send(&records);
        harness.run_until_idle();
    }
    client.peer.set_room(usize::MAX);
    harness.run_until_idle();
    let most = harness.event_loop.shared.pool.lent_bytes_most();
    assert!(most <= 1 << 20, "at most {most} bytes were held");
}

#[test]
fn a_turn_at_the_memory_limit_stays_within_it() {
    for line_len in [30, 5_000, 31_000] {
        let limits = Limits::default().with_memory_bytes_max(1 << 20);
        let mut harness = encrypted(Text::new(), Settings { limits, ..Settings::default() });
        let mut client = connect(&mut harness);
        // Reads are short while a client is interactive.
        harness.run_for(SECOND);
        let pool = &mut harness.event_loop.shared.pool;
        let mut held_elsewhere = Vec::new();
        while pool.has_room_for(BLOCK_LEN) {
            held_elsewhere.push(pool.lend(BLOCK_LEN));
        }
        client.peer.set_room(1);
        let line = [b"ECHO ".as_slice(), &vec![b'x'; line_len], b"\n"].concat();
        let requests: Vec<u8> =
            (0..4).flat_map(|_| client.seal(&line.repeat(32_000 / line.len()))).collect();
        client.peer.send(&requests);
        harness.run_until_idle();
        let most = harness.event_loop.shared.pool.lent_bytes_most();
        let borrowed = most - held_elsewhere.len() * BLOCK_LEN;
        assert!(borrowed >= 4 * BLOCK_LEN, "the turn has used {borrowed} bytes");
        assert!(most <= 1 << 20, "at most {most} bytes were held");
    }
}

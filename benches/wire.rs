//! The time of a message without a network: to find it among others, and to answer it.
//!
//! ```text
//! cargo bench --bench wire              # all of it; a word after `--` chooses: `-- lines`
//! cargo bench --bench wire -- --help    # the options of criterion: baselines, times, ...
//! ```
//!
//! The time is that of one message in a batch; `thrpt` is the throughput of one processor. The
//! payload of a frame is not read to find its end, so the throughput of long frames counts bytes
//! that are skipped.

mod batches;

use std::hint::black_box;
use std::time::{Duration, Instant, SystemTime};

use batches::{Batch, CONVERSATIONS, Conversation, Kind};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use tinytcp_core::address_limits::{AddressLimits, ENTRIES_MAX};
use tinytcp_core::limits::Limits;
use tinytcp_core::metrics::exposition::{self, Format};
use tinytcp_core::metrics::{json, line};
use tinytcp_core::os::moment::Moment;
use tinytcp_core::os::peer::Peer;
use tinytcp_core::status::Status;

/// The number of messages that wait at once when a client has 1024 in flight.
const SHORT_COUNT: usize = 1024;
/// One megabyte of long messages.
const LONG_COUNT: usize = 16;

criterion_group! {
    name = benches;
    config = Criterion::default()
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2));
    targets = lines, frames, sessions, metrics, addresses
}
criterion_main!(benches);

fn lines(criterion: &mut Criterion) {
    for (name, kind, count) in [
        ("23 bytes, LF", Kind::ShortLine, SHORT_COUNT),
        ("23 bytes, CRLF", Kind::ShortLineCrLf, SHORT_COUNT),
        ("64 KiB, LF", Kind::LongLine, LONG_COUNT),
        ("64 KiB, CRLF", Kind::LongLineCrLf, LONG_COUNT),
    ] {
        measure(criterion, "lines", name, kind, count, Batch::parse_lines);
    }
}

fn frames(criterion: &mut Criterion) {
    for (name, kind, count) in
        [("23 bytes", Kind::ShortFrame, SHORT_COUNT), ("64 KiB", Kind::LongFrame, LONG_COUNT)]
    {
        measure(criterion, "frames", name, kind, count, Batch::parse_frames);
    }
}

fn sessions(criterion: &mut Criterion) {
    for (scheme, command, kind) in CONVERSATIONS {
        let mut conversation = Conversation::new(scheme);
        let name = format!("{scheme}, {command}");
        measure(criterion, "sessions", &name, kind, SHORT_COUNT, |batch| conversation.run(batch));
    }
}

/// Measures the state of a server with its eight default listeners, and its metrics, in each form.
fn metrics(criterion: &mut Criterion) {
    let protocols = ["text", "text", "binary", "binary", "echo", "echo", "chat", "chat", "http"];
    let mut status = Status::new(&protocols, Limits::default(), 1000, SystemTime::now());
    for listener in &mut status.listeners {
        listener.url = format!("{}://127.0.0.1:40000", listener.protocol);
        listener.counters.accepted = 1_000_000;
        listener.counters.messages = 1_000_000_000;
        listener.counters.received_bytes = 1_000_000_000_000;
    }
    let mut group = criterion.benchmark_group("metrics");
    let mut bytes = Vec::with_capacity(64 << 10);
    let mut render = |name: &str, write: &dyn Fn(&mut Vec<u8>)| {
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                bytes.clear();
                write(black_box(&mut bytes));
            });
        });
    };
    let status = black_box(&status);
    let written = "a vector takes all bytes";
    render("STATUS", &|bytes| line::write(status, bytes).expect(written));
    render("JSON", &|bytes| json::write(status, bytes).expect(written));
    render("Prometheus", &|bytes| {
        exposition::write(status, Format::Prometheus, bytes).expect(written);
    });
    group.finish();
}

/// Measures the limits per address with a full table, each address with one connection.
fn addresses(criterion: &mut Criterion) {
    let limits = Limits::default()
        .with_address_connections_max(Some(2))
        .with_address_accept_rate_max(Some(u32::MAX))
        .with_address_message_rate_max(Some(u32::MAX));
    let mut table = AddressLimits::new(&limits);
    let peer = |index: usize| Peer::new(((index as u32).to_be_bytes(), 1000).into(), 0);
    let mut now = Moment::START;
    (0..ENTRIES_MAX).for_each(|index| assert!(table.count(&peer(index), now)));
    let mut group = criterion.benchmark_group("addresses");
    let mut indices = (0..ENTRIES_MAX).step_by(7).cycle();
    group.bench_function("open and close", |bencher| {
        bencher.iter(|| {
            let peer = peer(indices.next().unwrap_or_default());
            let is_counted = table.accept(&peer, now) && table.enter(&peer, now) == Ok(true);
            assert!(is_counted, "the limits are higher");
            table.leave(&peer, now);
        });
    });
    let stranger = peer(ENTRIES_MAX);
    group.bench_function("search for a free entry", |bencher| {
        bencher.iter(|| {
            now = now.after(Duration::from_secs(1));
            assert!(!table.count(&stranger, now), "no entry is free");
        });
    });
    group.finish();
}

/// Measures the time of one message of the `count` that `run` processes.
fn measure(
    criterion: &mut Criterion,
    group: &str,
    name: &str,
    kind: Kind,
    count: usize,
    mut run: impl FnMut(&Batch),
) {
    let batch = Batch::new(kind, count);
    let mut group = criterion.benchmark_group(group);
    group.throughput(Throughput::Bytes(kind.message().len() as u64));
    group.bench_function(name, |bencher| {
        bencher.iter_custom(|messages| {
            let batches = messages.div_ceil(count as u64);
            let start = Instant::now();
            for _ in 0..batches {
                run(&batch);
            }
            start.elapsed().mul_f64(messages as f64 / (batches * count as u64) as f64)
        });
    });
    group.finish();
}

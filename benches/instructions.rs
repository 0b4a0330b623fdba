//! The number of instructions of a message without a network. It is the same on a busy machine and
//! on a quiet one.
//!
//! ```text
//! cargo install gungraun-runner --version 0.20.0 --locked    # as the library in Cargo.lock
//! cargo bench --bench instructions
//! ```
//!
//! It needs valgrind too. If valgrind or the runner is missing, it reports that and succeeds. A
//! batch has 1000 short messages or 10 long ones: `Instructions` divided by this number is the cost
//! of one message. The difference to the last run stands beside it.

mod batches;

use std::env;
use std::process::{Command, Stdio};

fn main() {
    // The runner starts this program again, under valgrind and with an empty environment.
    let is_under_runner = env::args().nth(1).is_some_and(|argument| argument == "--gungraun-run");
    match missing().filter(|_| !is_under_runner) {
        Some(advice) => println!("skipped: {advice}"),
        None => counted::run(),
    }
}

/// Returns the remedy for a program that is missing.
fn missing() -> Option<&'static str> {
    let is_there = |program| {
        let started = Command::new(program)
            .arg("--version")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        started.is_ok_and(|status| status.success())
    };
    if !is_there("valgrind") {
        Some("valgrind is not installed; it is a package of that name")
    } else if !is_there("gungraun-runner") {
        Some("gungraun-runner is not installed; see the head of benches/instructions.rs")
    } else {
        None
    }
}

mod counted {
    use super::batches::{Batch, Conversation, Kind};
    use gungraun::{
        Callgrind, LibraryBenchmarkConfig, library_benchmark, library_benchmark_group, main,
    };

    const SHORT_COUNT: usize = 1000;
    const LONG_COUNT: usize = 10;

    /// Returns a conversation that has begun, and its next batch. Allocations that a conversation
    /// makes only once are not counted.
    fn conversation(scheme: &'static str, kind: Kind) -> (Conversation, Batch) {
        begun(scheme, Batch::new(kind, SHORT_COUNT))
    }

    fn long_conversation(scheme: &'static str, kind: Kind) -> (Conversation, Batch) {
        begun(scheme, Batch::new(kind, LONG_COUNT))
    }

    fn begun(scheme: &'static str, batch: Batch) -> (Conversation, Batch) {
        let mut conversation = Conversation::new(scheme);
        conversation.run(&batch);
        (conversation, batch)
    }

    #[library_benchmark]
    #[bench::short_lf(Batch::new(Kind::ShortLine, SHORT_COUNT))]
    #[bench::short_crlf(Batch::new(Kind::ShortLineCrLf, SHORT_COUNT))]
    #[bench::long_lf(Batch::new(Kind::LongLine, LONG_COUNT))]
    #[bench::long_crlf(Batch::new(Kind::LongLineCrLf, LONG_COUNT))]
    fn lines(batch: Batch) -> Batch {
        batch.parse_lines();
        batch
    }

    #[library_benchmark]
    #[bench::short(Batch::new(Kind::ShortFrame, SHORT_COUNT))]
    #[bench::long(Batch::new(Kind::LongFrame, LONG_COUNT))]
    fn frames(batch: Batch) -> Batch {
        batch.parse_frames();
        batch
    }

    // The return value is freed after the count.
    #[library_benchmark]
    #[bench::text_echo(conversation("text", Kind::ShortLine))]
    #[bench::text_time(conversation("text", Kind::TimeLine))]
    #[bench::text_help(conversation("text", Kind::HelpLine))]
    #[bench::text_own(conversation("text", Kind::OwnLine))]
    #[bench::text_unknown(conversation("text", Kind::UnknownLine))]
    #[bench::binary_echo(conversation("binary", Kind::ShortFrame))]
    #[bench::binary_reverse(conversation("binary", Kind::ReverseFrame))]
    #[bench::echo(conversation("echo", Kind::PlainLine))]
    #[bench::chat(conversation("chat", Kind::PlainLine))]
    #[bench::echo_long(long_conversation("echo", Kind::LongPlainLine))]
    #[bench::chat_long(long_conversation("chat", Kind::LongPlainLine))]
    fn sessions((mut conversation, batch): (Conversation, Batch)) -> (Conversation, Batch) {
        conversation.run(&batch);
        (conversation, batch)
    }

    library_benchmark_group!(name = messages, benchmarks = [lines, frames, sessions]);
    main!(
        // Simulated caches would double the time, and do not match those of the machine.
        config = LibraryBenchmarkConfig::default().tool(Callgrind::with_args(["--cache-sim=no"])),
        library_benchmark_groups = messages
    );

    /// Runs the benchmark.
    pub fn run() {
        main();
    }
}

//! The counts of the attackers of one kind.

use std::fmt;
use std::io;

/// The lives of attackers of one kind, by how they ended, and the answers that they read.
#[derive(Default)]
pub struct Tally {
    name: &'static str,
    count: usize,
    /// Lives that have begun.
    pub opened: u64,
    /// Lives that the attacker has ended.
    pub left: u64,
    /// Lives that the server has ended with an orderly close.
    pub closed: u64,
    /// Lives that the server has ended with a reset.
    pub reset: u64,
    /// Lives without a connection, or with a connection lost for another reason.
    pub failed: u64,
    /// Lives in which an answer was not the one to the request.
    pub wrong: u64,
    /// Requests that were refused for lack of memory.
    pub refused: u64,
    /// Right answers to flooders.
    pub answered: u64,
    pub sent_bytes: u64,
    pub received_bytes: u64,
    /// The first error of the lives that have failed.
    first_failure: Option<String>,
    /// The beginning of the first wrong answer.
    first_wrong: Option<String>,
}

impl Tally {
    pub fn new(name: &'static str, count: usize) -> Self {
        Self { name, count, ..Self::default() }
    }

    /// Counts the error that has ended a life.
    pub fn fail(&mut self, error: &io::Error) {
        match error.kind() {
            io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => self.reset += 1,
            _ => {
                self.failed += 1;
                self.first_failure.get_or_insert_with(|| error.to_string());
            }
        }
    }

    /// Keeps the beginning of the first wrong answer.
    pub fn note_wrong(&mut self, answer: &[u8]) {
        let front = &answer[..answer.len().min(64)];
        self.first_wrong.get_or_insert_with(|| front.escape_ascii().to_string());
    }

    /// The head of the table of tallies.
    pub const HEADS: &str = "\
        | attackers | connections begun | left | closed by the server | reset by the server \
        | failed | wrong answers | refused requests | MB sent | MB received |\n\
        |---|---|---|---|---|---|---|---|---|---|";
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, count, opened, left, closed, reset, failed, wrong, refused, .. } = self;
        let megabytes = |bytes: u64| bytes as f64 / 1e6;
        let (sent, received) = (megabytes(self.sent_bytes), megabytes(self.received_bytes));
        let remark =
            |why: &Option<String>| why.as_ref().map_or(String::new(), |why| format!(" ({why})"));
        let (why, what) = (remark(&self.first_failure), remark(&self.first_wrong));
        write!(
            f,
            "| {count} {name} | {opened} | {left} | {closed} | {reset} | {failed}{why} \
             | {wrong}{what} | {refused} "
        )?;
        write!(f, "| {sent:.1} | {received:.1} |")
    }
}

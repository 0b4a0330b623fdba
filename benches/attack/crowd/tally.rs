//! What attackers of one kind have seen.

use std::fmt;
use std::io;

/// Lives of attackers of one kind, by how they ended.
#[derive(Default)]
pub struct Tally {
    name: &'static str,
    count: usize,
    /// Lives begun.
    pub opened: u64,
    /// The attacker has left.
    pub left: u64,
    /// The server has closed the connection in order.
    pub closed: u64,
    /// The server has reset the connection.
    pub reset: u64,
    /// The connection could not be made, or was lost otherwise.
    pub failed: u64,
    /// A life in which an answer was not the one to the request.
    pub wrong: u64,
    /// Requests that were refused, for there was no memory for them.
    pub refused: u64,
    /// Answers to flooders that were right.
    pub answered: u64,
    pub sent_bytes: u64,
    pub received_bytes: u64,
    /// What went wrong first, of what counts as failed.
    first_failure: Option<String>,
    /// The front of the first wrong answer.
    first_wrong: Option<String>,
}

impl Tally {
    pub fn new(name: &'static str, count: usize) -> Self {
        Self { name, count, ..Self::default() }
    }

    /// Counts what ended a life.
    pub fn fail(&mut self, error: &io::Error) {
        match error.kind() {
            io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => self.reset += 1,
            _ => {
                self.failed += 1;
                self.first_failure.get_or_insert_with(|| error.to_string());
            }
        }
    }

    /// Remembers the first wrong answer.
    pub fn note_wrong(&mut self, answer: &[u8]) {
        let front = &answer[..answer.len().min(64)];
        self.first_wrong.get_or_insert_with(|| front.escape_ascii().to_string());
    }

    /// The heads of the columns that a tally is shown in.
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

//! The script: the messages in the order in which every connection sends them, stored so that
//! sending and comparing copy nothing.
//!
//! ```text
//!   requests  | m0 | m1 | m2 | ... | m0 | m1 | m2 | ... |    two rounds: any round is 1 slice
//!   replies   | r0 | r1 | r2 | ... | r0 | r1 | r2 | ... |
//! ```
//!
//! Requests are sent from their place, together with those that follow, and replies are compared
//! with theirs. Connections start at different places if there are several messages, so that the
//! reply of another connection is not the expected one.

use super::dialogue::{Dialogue, Expected};
use crate::error::UsageError;
use crate::traffic::messages::message::{ExpectedReply, Framing, ScriptMessage};

/// Maximum size of a round, unless it needs more messages: the round then fits the cache of a core.
const ROUND_BYTES: usize = 256 * 1024;

/// Number of messages of a round, unless more are needed to keep them in flight.
const ROUND_LEN: usize = 1024;

/// Minimum number of messages of a round, however large they are.
const ROUND_LEN_MIN: usize = 2;

/// The messages of a run.
#[derive(Debug)]
pub struct Script {
    requests: Bytes,
    replies: Bytes,
    /// For each place of the two rounds: the number of consecutive replies with known bytes.
    exact: Vec<u32>,
    /// The expected replies of one round.
    expected: Vec<ExpectedReply>,
    /// Number of distinct messages.
    messages: usize,
    greeting: Vec<u8>,
    framing: Framing,
    request_bytes_max: usize,
    reply_bytes_max: usize,
    is_answered: bool,
}

/// Concatenated pieces.
#[derive(Debug, Default)]
struct Bytes {
    bytes: Vec<u8>,
    /// Where each piece ends.
    ends: Vec<usize>,
}

impl Bytes {
    fn push(&mut self, piece: &[u8]) {
        self.bytes.extend_from_slice(piece);
        self.ends.push(self.bytes.len());
    }

    fn start(&self, index: usize) -> usize {
        index.checked_sub(1).map_or(0, |before| self.ends[before])
    }

    /// Returns `count` pieces from `index`.
    fn pieces(&self, index: usize, count: usize) -> &[u8] {
        &self.bytes[self.start(index)..self.start(index + count)]
    }

    /// Returns how many of the `count` pieces from `index` end within their first `len` bytes, and
    /// the length of those.
    fn within(&self, index: usize, count: usize, len: usize) -> (usize, usize) {
        let start = self.start(index);
        let whole =
            self.ends[index..index + count].iter().take_while(|end| **end - start <= len).count();
        (whole, self.start(index + whole) - start)
    }
}

/// Returns the number of messages of a round, for messages of `message_bytes` (request and reply)
/// and `depth` requests in flight.
#[must_use]
pub fn round_len(message_bytes: usize, depth: usize) -> usize {
    let fitting = ROUND_BYTES / message_bytes.max(1);
    // All requests in flight fit one write; for large messages, one write has no benefit.
    fitting.clamp(ROUND_LEN_MIN, ROUND_LEN.max(depth))
}

impl Script {
    /// Creates a script that repeats `messages` in order, for `depth` requests in flight.
    ///
    /// # Errors
    /// Fails if there is no message, or an empty request.
    pub fn new(
        messages: &[ScriptMessage],
        depth: usize,
        greeting: &[u8],
        framing: Framing,
    ) -> Result<Self, UsageError> {
        if messages.is_empty() || messages.iter().any(|message| message.request.is_empty()) {
            return Err("there is nothing to send: a message has at least 1 byte".into());
        }
        let round_bytes: usize = messages.iter().map(|message| message.request.len()).sum();
        let repeats =
            round_len(round_bytes / messages.len(), depth).div_ceil(messages.len()).max(1);
        let round: Vec<&ScriptMessage> =
            messages.iter().cycle().take(messages.len() * repeats).collect();
        let (mut requests, mut replies) = (Bytes::default(), Bytes::default());
        for message in round.iter().chain(&round) {
            requests.push(&message.request);
            replies.push(exact_bytes(&message.reply).unwrap_or_default());
        }
        let expected: Vec<ExpectedReply> =
            round.iter().map(|message| message.reply.clone()).collect();
        Ok(Self {
            exact: exact_runs(&expected),
            is_answered: expected.iter().all(|reply| *reply != ExpectedReply::Nothing),
            request_bytes_max: messages
                .iter()
                .map(|message| message.request.len())
                .max()
                .unwrap_or(0),
            reply_bytes_max: expected
                .iter()
                .filter_map(exact_bytes)
                .map(<[u8]>::len)
                .max()
                .unwrap_or(0),
            requests,
            replies,
            expected,
            messages: messages.len(),
            greeting: greeting.to_vec(),
            framing,
        })
    }

    /// Returns the number of messages of a round.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.expected.len()
    }

    /// Returns false: see [`Script::new`].
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.expected.is_empty()
    }

    /// Returns the size of the longest request.
    #[must_use]
    pub const fn request_bytes_max(&self) -> usize {
        self.request_bytes_max
    }

    /// Returns true if all requests get a reply.
    #[must_use]
    pub const fn is_answered(&self) -> bool {
        self.is_answered
    }

    /// Returns the memory that the script uses, in bytes.
    #[must_use]
    pub const fn memory_bytes(&self) -> usize {
        self.requests.bytes.len() + self.replies.bytes.len()
    }
}

impl Dialogue for Script {
    fn after(&self, place: usize, count: usize) -> usize {
        (place + count) % self.len()
    }

    fn before(&self, place: usize, count: usize) -> Option<usize> {
        Some((place + self.len() - count) % self.len())
    }

    fn window(&self) -> usize {
        self.len()
    }

    fn requests(&self, place: usize, count: usize) -> &[u8] {
        self.requests.pieces(place, count.min(self.len()))
    }

    fn requests_within(&self, place: usize, len: usize) -> (usize, usize) {
        self.requests.within(place, self.len(), len)
    }

    fn exact(&self, place: usize) -> usize {
        (self.exact[place] as usize).min(self.len())
    }

    fn replies(&self, place: usize, count: usize) -> &[u8] {
        self.replies.pieces(place, count)
    }

    fn replies_within(&self, place: usize, count: usize, len: usize) -> (usize, usize) {
        self.replies.within(place, count, len)
    }

    fn expected(&self, place: usize) -> Expected<'_> {
        (&self.expected[place]).into()
    }

    fn occurrences(&self, item: &[u8]) -> usize {
        let distinct = self.expected.iter().take(self.messages);
        distinct.filter(|reply| exact_bytes(reply) == Some(item)).count()
    }

    fn messages(&self) -> usize {
        self.messages
    }

    fn greeting(&self) -> &[u8] {
        &self.greeting
    }

    fn framing(&self) -> Framing {
        self.framing
    }

    fn reply_bytes_max(&self) -> usize {
        self.reply_bytes_max
    }
}

fn exact_bytes(reply: &ExpectedReply) -> Option<&[u8]> {
    match reply {
        ExpectedReply::Exact(bytes) => Some(bytes),
        _ => None,
    }
}

/// For each place of two rounds, counts the exact replies that follow without another kind between
/// them.
fn exact_runs(expected: &[ExpectedReply]) -> Vec<u32> {
    let mut runs = vec![0; expected.len() * 2];
    let mut run = 0;
    for place in (0..runs.len()).rev() {
        run = if exact_bytes(&expected[place % expected.len()]).is_some() { run + 1 } else { 0 };
        runs[place] = run;
    }
    runs
}

#[cfg(test)]
mod tests {
    use tinytcp_cli::target::ProtocolName;

    use super::*;
    use crate::traffic::messages::protocols::{message, numbered};

    fn script(texts: &[&str], depth: usize) -> Script {
        let messages: Vec<_> = texts
            .iter()
            .map(|text| message(ProtocolName::Text, text).expect("a command"))
            .collect();
        Script::new(&messages, depth, b"", Framing::Lines).expect("messages")
    }

    #[test]
    fn a_round_from_any_place_is_one_slice() {
        let script = script(&["ECHO a", "ECHO bc"], 1);
        let last = script.len() - 1;
        assert!(script.requests(last, 3).starts_with(b"ECHO bc\nECHO a\nECHO bc\n"));
        assert_eq!(script.requests_within(last, 15), (2, 15));
        assert_eq!(script.requests_within(last, 14), (1, 8));
        assert_eq!(script.after(last, 1), 0);
    }

    #[test]
    fn a_round_holds_all_small_messages_in_flight() {
        assert_eq!(script(&["ECHO a"], 1).len(), ROUND_LEN);
        assert_eq!(script(&["ECHO a"], 5000).len(), 5000);
        let large = numbered(ProtocolName::Text, 1 << 20, 0).expect("letters");
        let large = Script::new(&[large], 5000, b"", Framing::Lines).expect("a message");
        assert_eq!(large.len(), ROUND_LEN_MIN);
    }

    #[test]
    fn replies_of_unknown_bytes_end_a_run_of_exact_ones() {
        let script = script(&["ECHO a", "ECHO b", "TIME"], 1);
        assert_eq!([0, 1, 2].map(|place| script.exact(place)), [2, 1, 0]);
        assert_eq!(script.replies(0, 2), b"ECHO a\nECHO b\n");
        assert_eq!(script.occurrences(b"ECHO b\n"), 1);
        assert_eq!(script.occurrences(b"ECHO c\n"), 0);
    }

    #[test]
    fn a_script_without_bytes_to_send_is_refused() {
        let empty = ScriptMessage { request: Vec::new(), reply: ExpectedReply::Nothing };
        Script::new(&[empty], 1, b"", Framing::Unknown).expect_err("no byte");
        Script::new(&[], 1, b"", Framing::Unknown).expect_err("no message");
    }
}

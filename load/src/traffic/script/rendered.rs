//! The dialogue of one connection whose messages have values: requests are rendered when they
//! start, and kept with their replies until these have arrived.
//!
//! ```text
//!   requests | done | done | in flight | in flight |    a place counts from the first message of
//!   replies  | done | done | expected  | expected  |    the connection
//!              ^first
//! ```
//!
//! The storage is used again, so that a request allocates nothing.

use std::collections::VecDeque;
use std::sync::Arc;

use super::dialogue::{Dialogue, Expected};
use super::templates::{Step, TemplateScript};
use crate::traffic::messages::message::Framing;
use crate::traffic::messages::template::{TemplateReply, Values};

/// Number of messages that are kept after their replies, so that a repeated reply is recognised.
const DONE_MAX: usize = 64;

/// Messages whose replies have arrived are dropped when they have this number of bytes.
const DONE_BYTES_MAX: usize = 16 << 10;

/// Maximum number of replies that are compared at once.
const EXACT_MAX: usize = 64;

/// The messages of a connection.
#[derive(Debug)]
pub struct RenderedDialogue {
    script: Arc<TemplateScript>,
    connection: u64,
    /// The number of login requests that were started.
    logins: usize,
    /// Index of the next message in the script.
    next: usize,
    /// The number that the messages of the current pass have; of a script in order only.
    pass: u64,
    /// Place of the first kept message.
    first: usize,
    requests: Pieces,
    replies: Pieces,
    /// The step of each kept message: an index in the login, then in the messages.
    steps: VecDeque<usize>,
}

/// Concatenated pieces, of which the first ones can be dropped.
#[derive(Debug, Default)]
struct Pieces {
    bytes: Vec<u8>,
    /// Where each piece ends, counted from the first byte of the first piece ever.
    ends: VecDeque<usize>,
    /// Number of bytes that were dropped.
    dropped: usize,
}

impl Pieces {
    /// Ends a piece, whose bytes were appended.
    fn end(&mut self) {
        self.ends.push_back(self.dropped + self.bytes.len());
    }

    fn start(&self, index: usize) -> usize {
        index
            .checked_sub(1)
            .and_then(|before| self.ends.get(before).or_else(|| self.ends.back()))
            .map_or(self.dropped, |end| *end)
    }

    /// Returns `count` pieces from `index`, or as many as there are.
    fn pieces(&self, index: usize, count: usize) -> &[u8] {
        let (start, end) = (self.start(index), self.start(index + count));
        self.bytes.get(start - self.dropped..end - self.dropped).unwrap_or_default()
    }

    fn within(&self, index: usize, count: usize, len: usize) -> (usize, usize) {
        let start = self.start(index);
        let ends = self.ends.iter().skip(index).take(count);
        let whole = ends.take_while(|end| **end - start <= len).count();
        (whole, self.start(index + whole) - start)
    }

    fn drop_front(&mut self, count: usize) {
        let end = self.start(count);
        self.bytes.drain(..end - self.dropped);
        self.ends.drain(..count);
        self.dropped = end;
    }
}

impl RenderedDialogue {
    /// Creates the dialogue of the connection with this number.
    #[must_use]
    pub fn new(script: Arc<TemplateScript>, connection: usize) -> Self {
        Self {
            next: script.first_message(connection),
            script,
            connection: connection as u64,
            logins: 0,
            pass: 0,
            first: 0,
            requests: Pieces::default(),
            replies: Pieces::default(),
            steps: VecDeque::new(),
        }
    }

    /// Returns true if a login request is still to be started.
    #[must_use]
    pub fn has_login(&self) -> bool {
        self.logins < self.script.login().len()
    }

    /// Returns the step that starts next.
    #[must_use]
    pub fn next_step(&self) -> &Step {
        &self.script.messages()[self.next]
    }

    /// Renders the next login request.
    pub fn render_login(&mut self) {
        let number = self.connection;
        self.render(self.logins, number);
        self.logins += 1;
    }

    /// Renders the next message as the request with this number, and forgets messages before
    /// `oldest`, the place of the oldest request without a reply.
    pub fn render_next(&mut self, number: u64, oldest: usize) {
        self.forget(oldest);
        if self.next == 0 {
            self.pass = number;
        }
        let number = if self.script.is_in_order() { self.pass } else { number };
        self.render(self.script.login().len() + self.next, number);
        self.next = (self.next + 1) % self.script.messages().len();
    }

    fn render(&mut self, step: usize, number: u64) {
        let values = Values { seed: self.script.seed(), number, connection: self.connection };
        let message = &self.script.step(step).message;
        message.request.render(values, &mut self.requests.bytes);
        if let TemplateReply::Exact(reply) | TemplateReply::Until(reply) = &message.reply {
            reply.render(values, &mut self.replies.bytes);
        }
        self.requests.end();
        self.replies.end();
        self.steps.push_back(step);
    }

    /// Drops messages before `oldest`, many at once.
    fn forget(&mut self, oldest: usize) {
        let done = oldest.saturating_sub(self.first).min(self.steps.len());
        let bytes = self.requests.pieces(0, done).len() + self.replies.pieces(0, done).len();
        let dropped = match bytes >= DONE_BYTES_MAX {
            true => done,
            false if done >= 2 * DONE_MAX => done - DONE_MAX,
            false => return,
        };
        self.requests.drop_front(dropped);
        self.replies.drop_front(dropped);
        self.steps.drain(..dropped);
        self.first += dropped;
    }

    fn reply_at(&self, index: usize) -> Option<&TemplateReply> {
        self.steps.get(index).map(|step| &self.script.step(*step).message.reply)
    }

    fn is_exact(&self, index: usize) -> bool {
        matches!(self.reply_at(index), Some(TemplateReply::Exact(_)))
    }
}

impl Dialogue for RenderedDialogue {
    fn after(&self, place: usize, count: usize) -> usize {
        place + count
    }

    fn before(&self, place: usize, count: usize) -> Option<usize> {
        place.checked_sub(count).filter(|before| *before >= self.first)
    }

    fn window(&self) -> usize {
        self.steps.len()
    }

    fn requests(&self, place: usize, count: usize) -> &[u8] {
        self.requests.pieces(place - self.first, count)
    }

    fn requests_within(&self, place: usize, len: usize) -> (usize, usize) {
        self.requests.within(place - self.first, usize::MAX, len)
    }

    fn exact(&self, place: usize) -> usize {
        let index = place - self.first;
        (index..index + EXACT_MAX).take_while(|index| self.is_exact(*index)).count()
    }

    fn replies(&self, place: usize, count: usize) -> &[u8] {
        self.replies.pieces(place - self.first, count)
    }

    fn replies_within(&self, place: usize, count: usize, len: usize) -> (usize, usize) {
        self.replies.within(place - self.first, count, len)
    }

    fn expected(&self, place: usize) -> Expected<'_> {
        let index = place - self.first;
        let bytes = self.replies.pieces(index, 1);
        match self.reply_at(index) {
            Some(TemplateReply::Exact(_)) => Expected::Exact(bytes),
            Some(TemplateReply::Line(shape)) => Expected::Line(*shape),
            Some(TemplateReply::Until(_)) => Expected::Until(bytes),
            Some(TemplateReply::Nothing) | None => Expected::Nothing,
        }
    }

    fn occurrences(&self, item: &[u8]) -> usize {
        (0..self.steps.len())
            .filter(|index| self.is_exact(*index) && self.replies.pieces(*index, 1) == item)
            .count()
    }

    fn messages(&self) -> usize {
        self.steps.len()
    }

    fn greeting(&self) -> &[u8] {
        self.script.greeting()
    }

    fn framing(&self) -> Framing {
        self.script.framing()
    }

    fn reply_bytes_max(&self) -> usize {
        self.script.reply_bytes_max()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::measurement::exchange::Exchanges;
    use crate::traffic::messages::message::{ExpectedReply, ScriptMessage};
    use crate::traffic::messages::template::TemplateMessage;
    use crate::traffic::reply_checker::{Finding, ReplyChecker};
    use crate::traffic::script::templates::Steps;

    fn step(request: &str, reply: &str) -> Step {
        let message =
            ScriptMessage { request: request.into(), reply: ExpectedReply::Exact(reply.into()) };
        let message = TemplateMessage::parse(&message, false).expect("templates");
        Step { message, pause: Duration::ZERO }
    }

    fn dialogue(login: &[Step], messages: &[Step], is_in_order: bool) -> RenderedDialogue {
        let steps = Steps { login: login.to_vec(), messages: messages.to_vec(), is_in_order };
        let script = TemplateScript::new(steps, 1, b"", Framing::Lines).expect("messages");
        RenderedDialogue::new(Arc::new(script), 0)
    }

    #[test]
    fn requests_are_rendered_with_their_numbers_in_turn() {
        let mut dialogue = dialogue(&[], &[step("a{n}\n", "A{n}\n"), step("b\n", "B\n")], false);
        (10..14).for_each(|number| dialogue.render_next(number, 0));
        assert_eq!(dialogue.requests(0, 4), b"a10\nb\na12\nb\n");
        assert_eq!(dialogue.requests_within(1, 7), (2, 6));
        assert_eq!((dialogue.exact(1), dialogue.replies(1, 3)), (3, &b"B\nA12\nB\n"[..]));
        assert_eq!(dialogue.expected(4), Expected::Nothing, "it is not rendered yet");
    }

    #[test]
    fn a_login_comes_first_and_a_pass_has_one_number() {
        let messages = [step("a{n}\n", "\n"), step("b{n}\n", "\n")];
        let mut dialogue = dialogue(&[step("hi {c}\n", "ok\n")], &messages, true);
        assert!(dialogue.has_login());
        dialogue.render_login();
        assert!(!dialogue.has_login());
        (5..9).for_each(|number| dialogue.render_next(number, 0));
        assert_eq!(dialogue.requests(0, 5), b"hi 0\na5\nb5\na7\nb7\n");
    }

    #[test]
    fn the_storage_stays_the_same_and_replies_are_correct() {
        const DEPTH: usize = 16;
        let mut dialogue =
            dialogue(&[], &[step("GET {n} {hex:8}\n", "VALUE {n} {hex:8}\n")], false);
        let mut checker = ReplyChecker::new(&dialogue, 0);
        let (mut answered, mut storage) = (0, None);
        for number in 0..20_000 {
            dialogue.render_next(number, checker.next_place());
            let place = number as usize;
            if place < answered + DEPTH {
                continue;
            }
            // The replies arrive in pieces that end within a reply.
            let replies = dialogue.replies(answered, DEPTH).to_vec();
            let mut correct = 0;
            for mut bytes in replies.chunks(7) {
                while !bytes.is_empty() {
                    let mut exchanges = Exchanges::default();
                    let log = &mut exchanges.log(Duration::ZERO, 0);
                    match checker.next(&dialogue, &mut bytes, DEPTH - correct, log) {
                        Finding::Correct(count) => correct += count,
                        finding => assert_eq!(finding, Finding::Incomplete),
                    }
                }
            }
            assert_eq!(correct, DEPTH);
            answered += DEPTH;
            let capacity = |pieces: &Pieces| (pieces.bytes.capacity(), pieces.ends.capacity());
            let now = (capacity(&dialogue.requests), capacity(&dialogue.replies));
            if number > 5_000 {
                assert_eq!(*storage.get_or_insert(now), now, "request {number} allocates");
            }
        }
        assert!(answered > 19_000 && dialogue.steps.len() < 1_000, "{}", dialogue.steps.len());
    }

    #[test]
    fn a_late_second_reply_is_recognised_as_repeated() {
        let mut dialogue = dialogue(&[], &[step("a{n}\n", "a{n}\n")], false);
        (0..3).for_each(|number| dialogue.render_next(number, 0));
        let mut checker = ReplyChecker::new(&dialogue, 0);
        let mut exchanges = Exchanges::default();
        let mut bytes: &[u8] = b"a0\na0\na1\n";
        let mut findings = Vec::new();
        while !bytes.is_empty() {
            let log = &mut exchanges.log(Duration::ZERO, 0);
            findings.push(checker.next(&dialogue, &mut bytes, 3 - findings.len(), log));
        }
        assert_eq!(findings, [Finding::Correct(1), Finding::Repeated, Finding::Correct(1)]);
    }
}

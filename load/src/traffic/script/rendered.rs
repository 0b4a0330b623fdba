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

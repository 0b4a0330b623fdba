//! The requests and the expected replies of a connection, in the order in which it sends them.

use crate::traffic::messages::message::{ExpectedReply, Framing, LineShape};

/// The requests and replies of a connection by their place. Requests that follow each other are one
/// slice of bytes, and so are replies.
pub trait Dialogue {
    /// Returns the place `count` messages after `place`.
    fn after(&self, place: usize, count: usize) -> usize;

    /// Returns the place `count` messages before `place`; `None` if it is not known any more.
    fn before(&self, place: usize, count: usize) -> Option<usize>;

    /// Returns the number of messages that can be told apart by their place.
    fn window(&self) -> usize;

    /// Returns the bytes of `count` requests from `place`, or of as many as one slice has.
    fn requests(&self, place: usize, count: usize) -> &[u8];

    /// Returns how many requests from `place` end within their first `len` bytes, and the length of
    /// those.
    fn requests_within(&self, place: usize, len: usize) -> (usize, usize);

    /// Returns the number of consecutive replies with known bytes from `place`, or of as many as
    /// one slice has.
    fn exact(&self, place: usize) -> usize;

    /// Returns the bytes of `count` replies from `place`, which must be [`exact`](Self::exact).
    fn replies(&self, place: usize, count: usize) -> &[u8];

    /// Returns how many of the `count` exact replies from `place` end within their first `len`
    /// bytes, and the length of those.
    fn replies_within(&self, place: usize, count: usize, len: usize) -> (usize, usize);

    /// Returns the expected reply at `place`.
    fn expected(&self, place: usize) -> Expected<'_>;

    /// Returns how many messages have `item` as their exact reply.
    fn occurrences(&self, item: &[u8]) -> usize;

    /// Returns the number of distinct messages.
    fn messages(&self) -> usize;

    /// Returns the greeting of the server.
    fn greeting(&self) -> &[u8];

    /// Returns how to find the end of a wrong reply.
    fn framing(&self) -> Framing;

    /// Returns the size of the longest reply with known bytes.
    fn reply_bytes_max(&self) -> usize;
}

/// An expected reply whose bytes are those of a dialogue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected<'a> {
    /// Exactly these bytes.
    Exact(&'a [u8]),
    /// One line of this shape.
    Line(LineShape),
    /// Any bytes that end with these, at least one.
    Until(&'a [u8]),
    /// No reply.
    Nothing,
}

impl<'a> From<&'a ExpectedReply> for Expected<'a> {
    fn from(reply: &'a ExpectedReply) -> Self {
        match reply {
            ExpectedReply::Exact(bytes) => Self::Exact(bytes),
            ExpectedReply::Line(shape) => Self::Line(*shape),
            ExpectedReply::Until(end) => Self::Until(end),
            ExpectedReply::Nothing => Self::Nothing,
        }
    }
}

impl Expected<'_> {
    /// Returns true if `item` is this reply.
    #[must_use]
    pub fn fits(self, item: &[u8]) -> bool {
        match self {
            Self::Exact(bytes) => bytes == item,
            Self::Line(shape) => shape.fits(item),
            Self::Until(end) => item.ends_with(end),
            Self::Nothing => false,
        }
    }
}

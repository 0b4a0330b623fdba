//! Where a reply ends.

use memchr::memchr;
use tinytcp_core::wire::frame::{self, Front, HEADER_LEN};

use super::ReplyChecker;
use crate::traffic::messages::message::Framing;
use crate::traffic::script::dialogue::{Dialogue, Expected};

/// Maximum length of a reply of unknown bytes, beyond the longest known reply.
pub(super) const ITEM_BYTES_MAX: usize = 64 << 10;

impl ReplyChecker {
    /// Returns where in `bytes` the reply ends that starts in `held`: `Some(None)` if the end is
    /// not there yet, `None` if the framing is unknown.
    pub(super) fn item_end(&self, script: &impl Dialogue, bytes: &[u8]) -> Option<Option<usize>> {
        if self.greeted
            && let Expected::Until(end) = script.expected(self.next)
        {
            return Some(self.end_of_delimited(bytes, end));
        }
        match script.framing() {
            Framing::Lines => Some(memchr(b'\n', bytes).map(|at| at + 1)),
            Framing::Frames => self.end_of_frame(script, bytes),
            Framing::Unknown => None,
        }
    }

    fn end_of_delimited(&self, bytes: &[u8], end: &[u8]) -> Option<usize> {
        // The delimiter may start in the held bytes.
        let overlap = self.held.len().min(end.len().saturating_sub(1));
        let tail = &self.held[self.held.len() - overlap..];
        let joined: Vec<u8>;
        let searched = if tail.is_empty() {
            bytes
        } else {
            joined = [tail, bytes].concat();
            &joined
        };
        memchr::memmem::find(searched, end).map(|at| at + end.len() - overlap)
    }

    /// Like [`item_end`](Self::item_end). A header of an implausible length is not a frame.
    fn end_of_frame(&self, script: &impl Dialogue, bytes: &[u8]) -> Option<Option<usize>> {
        let mut header = [0; HEADER_LEN];
        let known = self.held.iter().chain(bytes).take(HEADER_LEN);
        let known = header.iter_mut().zip(known).map(|(place, byte)| *place = *byte).count();
        let Front::Incomplete { header: Some(header), .. } = frame::front(&header[..known]) else {
            // Either the header is incomplete, or it is a complete frame by itself.
            return Some((known == HEADER_LEN).then(|| HEADER_LEN.saturating_sub(self.held.len())));
        };
        let whole =
            usize::try_from(header.payload_len).unwrap_or(usize::MAX).saturating_add(HEADER_LEN);
        let missing = whole.saturating_sub(self.held.len());
        (whole <= item_bytes_max(script)).then(|| (missing <= bytes.len()).then_some(missing))
    }
}

/// Returns the maximum length of a reply.
pub(super) fn item_bytes_max(script: &impl Dialogue) -> usize {
    script.reply_bytes_max().saturating_add(ITEM_BYTES_MAX)
}

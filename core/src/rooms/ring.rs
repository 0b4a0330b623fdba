//! The log of a room: the last messages, each stored once, and read by any number of cursors.
//!
//! ```text
//!   append --> [ 41 | 42 | 43 | 44 ]   bounded in bytes: the oldest messages are removed
//!                 ^         ^       ^
//!                 slow      member  a member that has been sent everything
//! ```
//!
//! A cursor is the number of the next message to read. It is no part of the ring, so a reader costs
//! the ring nothing, and a reader that does not read keeps no message alive. Numbers wrap around
//! after 4 billion messages.

use std::collections::VecDeque;

/// A message: its text, and the name and the connection that it comes from.
#[derive(Debug)]
pub struct Message {
    from: u64,
    name_len: u8,
    /// The name, directly followed by the text.
    bytes: Box<[u8]>,
}

/// What a message takes beside its bytes: its place in a queue that may be half empty, and the
/// overhead of the allocator.
const OVERHEAD_BYTES: usize = 2 * size_of::<Message>() + 16;

impl Message {
    /// Creates a message of connection `from`. `bytes` is its name of `name_len` bytes, followed by
    /// its text.
    pub(super) fn new(from: u64, name_len: u8, bytes: &[u8]) -> Self {
        Self { from, name_len, bytes: bytes.into() }
    }

    /// The number of the connection that said it; 0 if it was said on another server.
    #[must_use]
    pub const fn from(&self) -> u64 {
        self.from
    }

    /// The name of the member that said it.
    #[must_use]
    pub fn name(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.name_len)).unwrap_or_default()
    }

    /// The text.
    #[must_use]
    pub fn text(&self) -> &[u8] {
        self.bytes.get(usize::from(self.name_len)..).unwrap_or_default()
    }

    /// The bytes of the name and the text together.
    #[must_use]
    pub const fn bytes_len(&self) -> usize {
        self.bytes.len()
    }

    const fn held_bytes(&self) -> usize {
        OVERHEAD_BYTES + self.bytes.len()
    }
}

/// What a cursor finds before the head.
#[derive(Clone, Copy, Debug)]
pub enum Read<'a> {
    /// The next message.
    Message(&'a Message),
    /// This number of messages was removed before the cursor reached them.
    Missed(u32),
}

/// The log of a room.
#[derive(Debug, Default)]
pub struct Ring {
    messages: VecDeque<Message>,
    held_bytes: usize,
    head: u32,
}

impl Ring {
    /// The cursor of a reader that has read everything.
    #[must_use]
    pub const fn head(&self) -> u32 {
        self.head
    }

    /// The bytes of storage that the messages take.
    #[must_use]
    pub const fn held_bytes(&self) -> usize {
        self.held_bytes
    }

    /// Appends a message, and removes the oldest ones while all together take more than `bytes_max`
    /// bytes. The last message always stays.
    pub fn append(&mut self, message: Message, bytes_max: usize) {
        self.held_bytes += message.held_bytes();
        self.messages.push_back(message);
        self.head = self.head.wrapping_add(1);
        while self.held_bytes > bytes_max && self.messages.len() > 1 {
            let removed = self.messages.pop_front();
            self.held_bytes -= removed.map_or(0, |removed| removed.held_bytes());
        }
    }

    /// Returns what `cursor` finds, `None` at the head. It costs the same for each cursor.
    #[must_use]
    #[inline]
    pub fn read(&self, cursor: u32) -> Option<Read<'_>> {
        let distance = self.head.wrapping_sub(cursor) as usize;
        if distance == 0 {
            return None;
        }
        let found = self.messages.len().checked_sub(distance);
        Some(found.and_then(|index| self.messages.get(index)).map_or_else(
            || Read::Missed(u32::try_from(distance - self.messages.len()).unwrap_or(u32::MAX)),
            Read::Message,
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn message(text: &str) -> Message {
        Message::new(1, 3, format!("ann{text}").as_bytes())
    }

    #[test]
    fn a_message_keeps_its_name_and_its_text() {
        let message = message("hello");
        assert_eq!(
            (message.name(), message.text(), message.bytes_len()),
            (&b"ann"[..], &b"hello"[..], 8)
        );
    }

    #[test]
    fn a_cursor_reads_each_message_after_it_in_order() {
        let mut ring = Ring::default();
        ring.append(message("before"), 1 << 20);
        let mut cursor = ring.head();
        assert!(ring.read(cursor).is_none());
        for text in ["one", "two"] {
            ring.append(message(text), 1 << 20);
        }
        for text in ["one", "two"] {
            let Some(Read::Message(read)) = ring.read(cursor) else { panic!("a message is there") };
            assert_eq!(read.text(), text.as_bytes());
            cursor += 1;
        }
        assert!(ring.read(cursor).is_none());
    }

    #[test]
    fn the_last_message_stays_even_if_it_exceeds_the_bound() {
        let mut ring = Ring::default();
        for text in ["one", "two"] {
            ring.append(message(text), 0);
        }
        let Some(Read::Message(last)) = ring.read(ring.head() - 1) else {
            panic!("a message is there")
        };
        assert_eq!(last.text(), b"two");
        assert!(matches!(ring.read(0), Some(Read::Missed(1))));
    }

    proptest! {
        /// A reader that reads at any times gets all messages in order, each once, or the number of
        /// those that are missing. The ring holds no more than its bound, or a single message.
        #[test]
        fn each_reader_gets_all_messages_but_those_it_is_told_to_miss(
            start in any::<u32>(),
            bytes_max in 0usize..1000,
            steps in proptest::collection::vec(proptest::option::of(0usize..200), 1..200),
        ) {
            let mut ring = Ring { head: start, ..Ring::default() };
            let (mut cursor, mut appended, mut expected) = (start, 0u32, 0u32);
            for step in steps {
                match step {
                    Some(len) => {
                        ring.append(message(&format!("{appended} {}", "x".repeat(len))), bytes_max);
                        appended += 1;
                        prop_assert!(ring.held_bytes <= bytes_max || ring.messages.len() == 1);
                        let held: usize = ring.messages.iter().map(Message::held_bytes).sum();
                        prop_assert_eq!(ring.held_bytes, held);
                    }
                    None => match ring.read(cursor) {
                        None => prop_assert_eq!(expected, appended),
                        Some(Read::Missed(count)) => {
                            prop_assert!(count > 0);
                            cursor = cursor.wrapping_add(count);
                            expected += count;
                        }
                        Some(Read::Message(message)) => {
                            let number = format!("{expected} ");
                            prop_assert!(message.text().starts_with(number.as_bytes()));
                            cursor = cursor.wrapping_add(1);
                            expected += 1;
                        }
                    },
                }
            }
        }
    }
}

//! The table of connections: a slab whose keys have a generation.
//!
//! A slab reuses the key of a closed connection for the next one. An event for the closed
//! connection would then reach the new one. So a [`Token`] consists of a key and the generation of
//! its entry, and a token of an older generation finds nothing.
//!
//! ```text
//!   token = | generation | key |      one `usize`, half of its bits each; the poller returns it
//!                                     with each event
//! ```

use slab::Slab;

const KEY_BITS: u32 = usize::BITS / 2;
const KEY_MASK: usize = (1 << KEY_BITS) - 1;

/// The most entries of a table: 4 billion, or 64,511 if a `usize` has 32 bits. The topmost keys
/// have no entries, so that a poller can use their tokens for listeners and wakers.
pub const ENTRIES_MAX: usize = KEY_MASK - 1024;

/// The name of one entry of a [`Table`].
///
/// A token is not used again before the generation wraps around: after 4 billion insertions, or
/// 65,536 if a `usize` has 32 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Token(usize);

impl Token {
    /// The token of the connection to a broker. No entry of a table has it.
    pub const BUS: Self = Self(ENTRIES_MAX);

    /// Returns the number that a poller stores for the token.
    #[must_use]
    pub const fn to_usize(self) -> usize {
        self.0
    }

    /// Converts the number of a poller back.
    #[must_use]
    pub const fn from_usize(token: usize) -> Self {
        Self(token)
    }

    /// Returns the key of the slab: small, dense, and reused after a removal.
    #[must_use]
    pub const fn key(self) -> usize {
        self.0 & KEY_MASK
    }

    pub(crate) const fn new(key: usize, generation: Generation) -> Self {
        Self((generation as usize) << KEY_BITS | key)
    }

    /// Returns the number of the insertion, counted from 1. It wraps around after 4 billion, or
    /// after 65,535 if a `usize` has 32 bits.
    #[must_use]
    pub const fn number(self) -> u64 {
        self.generation() as u64
    }

    #[expect(
        clippy::cast_possible_truncation,
        reason = "a generation is the upper half of the bits"
    )]
    const fn generation(self) -> Generation {
        (self.0 >> KEY_BITS) as Generation
    }
}

#[cfg(target_pointer_width = "64")]
type Generation = u32;
#[cfg(not(target_pointer_width = "64"))]
type Generation = u16;

/// A slab whose entries are found by their [`Token`].
#[derive(Debug)]
pub struct Table<T> {
    slab: Slab<Entry<T>>,
    /// Increased with every insertion.
    generation: Generation,
}

// The generation is read first, so it is directly before the fields that are used next.
#[derive(Debug)]
#[repr(C)]
struct Entry<T> {
    generation: Generation,
    value: T,
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self { slab: Slab::new(), generation: 0 }
    }
}

impl<T> Table<T> {
    /// Returns the token of the next insertion, so that a socket can be registered before it is
    /// stored.
    #[must_use]
    pub fn next_token(&self) -> Token {
        Token::new(self.slab.vacant_key(), self.generation.wrapping_add(1))
    }

    /// Stores `value` and returns its token.
    pub fn insert(&mut self, value: T) -> Token {
        self.generation = self.generation.wrapping_add(1);
        let key = self.slab.insert(Entry { generation: self.generation, value });
        Token::new(key, self.generation)
    }

    /// Returns the entry with this token, unless it has been removed.
    pub fn get_mut(&mut self, token: Token) -> Option<&mut T> {
        let entry = self.slab.get_mut(token.key())?;
        (entry.generation == token.generation()).then_some(&mut entry.value)
    }

    /// Removes and returns the entry with this token.
    pub fn remove(&mut self, token: Token) -> Option<T> {
        self.get_mut(token)?;
        Some(self.slab.remove(token.key()).value)
    }

    /// Returns the token of the present entry of `key`.
    #[must_use]
    pub fn token_of(&self, key: usize) -> Option<Token> {
        self.slab.get(key).map(|entry| Token::new(key, entry.generation))
    }

    /// Iterates over the tokens of all entries.
    pub fn tokens(&self) -> impl Iterator<Item = Token> {
        self.iter().map(|(token, _)| token)
    }

    /// Iterates over all entries and their tokens.
    pub fn iter(&self) -> impl Iterator<Item = (Token, &T)> {
        self.slab.iter().map(|(key, entry)| (Token::new(key, entry.generation), &entry.value))
    }

    /// Iterates over all entries.
    pub fn values_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.slab.iter_mut().map(|(_, entry)| &mut entry.value)
    }

    /// Returns the number of entries.
    #[must_use]
    pub fn len(&self) -> usize {
        self.slab.len()
    }

    /// True if there is no entry.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.slab.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_token_of_a_removed_entry_never_finds_its_successor() {
        let mut table = Table::default();
        let first = table.insert("first");
        assert_eq!(table.remove(first), Some("first"));
        let second = table.insert("second");
        assert_eq!(first.key(), second.key(), "the slab reuses the key");
        assert_eq!(table.get_mut(first), None);
        assert_eq!(table.remove(first), None);
        assert_eq!(table.get_mut(second), Some(&mut "second"));
    }

    #[test]
    fn the_next_token_is_the_token_of_the_next_insertion() {
        let mut table = Table::default();
        let removed = table.insert(0);
        table.insert(1);
        table.remove(removed);
        let next = table.next_token();
        assert_eq!(table.insert(2), next);
        assert_eq!(table.token_of(next.key()), Some(next));
        assert_eq!(Token::from_usize(next.to_usize()), next);
    }
}

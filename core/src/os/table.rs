//! The table of connections: a slab whose keys carry a generation.
//!
//! A slab hands the key of a closed connection to the next one that is accepted. An event or a
//! place in the run queue that was meant for the first would then reach the second. So a [`Token`]
//! is a key together with the generation of what was stored under it, and a token of an older
//! generation finds nothing.
//!
//! ```text
//!   token = | generation | key |      one `usize`, half of its bits each; what the poller hands back with an event
//! ```

use slab::Slab;

const KEY_BITS: u32 = usize::BITS / 2;
const KEY_MASK: usize = (1 << KEY_BITS) - 1;

/// The most entries that a table may hold: 4 billion, and 64,511 where a `usize` has 32 bits. The
/// topmost keys name no entry, so that a poller can use their tokens for listeners and the like.
pub const ENTRIES_MAX: usize = KEY_MASK - 1024;

/// Names one entry of a [`Table`], and never another one later.
///
/// On a machine whose `usize` has 64 bits a name comes back after 4 billion insertions under the
/// same key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Token(usize);

impl Token {
    /// The token as the number that a poller stores.
    #[must_use]
    pub const fn to_usize(self) -> usize {
        self.0
    }

    /// The token that a poller handed back.
    #[must_use]
    pub const fn from_usize(token: usize) -> Self {
        Self(token)
    }

    /// The slab's key: small, dense, and used again after a removal.
    #[must_use]
    pub const fn key(self) -> usize {
        self.0 & KEY_MASK
    }

    const fn new(key: usize, generation: Generation) -> Self {
        Self((generation as usize) << KEY_BITS | key)
    }

    /// Which insertion this was, counted from 1; after 4 billion, or 65,535 where a `usize` has 32
    /// bits, it begins anew.
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

/// A slab whose entries are found by [`Token`].
#[derive(Debug)]
pub struct Table<T> {
    slab: Slab<Entry<T>>,
    /// Increased with every insertion.
    generation: Generation,
}

// The generation is looked at first, so it stands in front of what is used next.
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
    /// The token that the next insertion will get: a socket can be registered before it is stored.
    #[must_use]
    pub fn next_token(&self) -> Token {
        Token::new(self.slab.vacant_key(), self.generation.wrapping_add(1))
    }

    /// Stores `value`.
    pub fn insert(&mut self, value: T) -> Token {
        self.generation = self.generation.wrapping_add(1);
        let key = self.slab.insert(Entry { generation: self.generation, value });
        Token::new(key, self.generation)
    }

    /// The entry with this token, unless it has been removed.
    pub fn get_mut(&mut self, token: Token) -> Option<&mut T> {
        let entry = self.slab.get_mut(token.key())?;
        (entry.generation == token.generation()).then_some(&mut entry.value)
    }

    /// Takes the entry with this token out.
    pub fn remove(&mut self, token: Token) -> Option<T> {
        self.get_mut(token)?;
        Some(self.slab.remove(token.key()).value)
    }

    /// The token of the entry that is stored under `key` now.
    #[must_use]
    pub fn token_of(&self, key: usize) -> Option<Token> {
        self.slab.get(key).map(|entry| Token::new(key, entry.generation))
    }

    /// The tokens of all entries.
    pub fn tokens(&self) -> impl Iterator<Item = Token> {
        self.iter().map(|(token, _)| token)
    }

    /// All entries and their tokens.
    pub fn iter(&self) -> impl Iterator<Item = (Token, &T)> {
        self.slab.iter().map(|(key, entry)| (Token::new(key, entry.generation), &entry.value))
    }

    /// The number of entries.
    #[must_use]
    pub fn len(&self) -> usize {
        self.slab.len()
    }

    /// True exactly when there is no entry.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.slab.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_token_of_a_removed_entry_finds_nothing_though_its_key_is_used_again() {
        let mut table = Table::default();
        let first = table.insert("first");
        assert_eq!(table.remove(first), Some("first"));
        let second = table.insert("second");
        assert_eq!(first.key(), second.key(), "the slab uses the key again");
        assert_eq!(table.get_mut(first), None);
        assert_eq!(table.remove(first), None);
        assert_eq!(table.get_mut(second), Some(&mut "second"));
    }

    #[test]
    fn the_next_token_is_the_one_that_the_insertion_gets() {
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

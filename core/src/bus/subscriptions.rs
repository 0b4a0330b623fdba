//! The rooms that have members on this server, and which of them the broker knows.

use std::collections::{BTreeMap, BTreeSet};

/// The subscriptions of one server.
///
/// A room takes memory while it has members on this server or the broker knows it. So nothing grows
/// without a broker, however many rooms get and lose members.
#[derive(Debug, Default)]
pub struct Subscriptions {
    rooms: BTreeMap<Box<[u8]>, Subscription>,
    /// The rooms for which the broker is not up to date.
    changed: BTreeSet<Box<[u8]>>,
    last_id: u64,
}

#[derive(Debug, Default)]
struct Subscription {
    /// True if the room has members on this server.
    is_wanted: bool,
    /// The number under which the broker knows the subscription, if it does.
    id: Option<u64>,
}

/// A change that the broker is to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// A room has members: its name, and the number of the subscription.
    Subscribe(Box<[u8]>, u64),
    /// The room of the subscription with this number has no members any more.
    Unsubscribe(u64),
}

impl Subscriptions {
    /// Notes whether `room` has members.
    pub fn set(&mut self, room: &[u8], is_wanted: bool) {
        let subscription = self.rooms.entry(room.into()).or_default();
        subscription.is_wanted = is_wanted;
        if is_wanted != subscription.id.is_some() {
            self.changed.insert(room.into());
        } else {
            self.changed.remove(room);
            if !is_wanted {
                self.rooms.remove(room);
            }
        }
    }

    /// Begins with a new connection, on which the broker knows no subscription.
    pub fn restart(&mut self) {
        self.rooms.retain(|_, subscription| subscription.is_wanted);
        self.rooms.values_mut().for_each(|subscription| subscription.id = None);
        self.changed = self.rooms.keys().cloned().collect();
    }

    /// Returns the next change, which the caller sends to the broker.
    pub fn next_change(&mut self) -> Option<Change> {
        let room = self.changed.pop_first()?;
        let subscription = self.rooms.get_mut(&room)?;
        match subscription.id {
            None => {
                self.last_id += 1;
                subscription.id = Some(self.last_id);
                Some(Change::Subscribe(room, self.last_id))
            }
            Some(id) => {
                self.rooms.remove(&room);
                Some(Change::Unsubscribe(id))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changes(subscriptions: &mut Subscriptions) -> Vec<String> {
        let show = |change| match change {
            Change::Subscribe(room, id) => format!("+{} {id}", room.escape_ascii()),
            Change::Unsubscribe(id) => format!("-{id}"),
        };
        std::iter::from_fn(|| subscriptions.next_change()).map(show).collect()
    }

    #[test]
    fn the_broker_learns_what_has_changed_and_nothing_else() {
        let mut subscriptions = Subscriptions::default();
        subscriptions.set(b"tea", true);
        subscriptions.set(b"tea", true);
        subscriptions.set(b"milk", true);
        assert_eq!(changes(&mut subscriptions), ["+milk 1", "+tea 2"]);
        subscriptions.set(b"tea", false);
        subscriptions.set(b"tea", true);
        assert_eq!(changes(&mut subscriptions), [""; 0], "a member left and another came");
        subscriptions.set(b"tea", false);
        assert_eq!(changes(&mut subscriptions), ["-2"]);
        subscriptions.set(b"tea", true);
        assert_eq!(changes(&mut subscriptions), ["+tea 3"]);
    }

    #[test]
    fn a_new_broker_learns_the_rooms_with_members() {
        let mut subscriptions = Subscriptions::default();
        subscriptions.set(b"tea", true);
        subscriptions.set(b"milk", true);
        let _ = changes(&mut subscriptions);
        subscriptions.set(b"milk", false);
        subscriptions.restart();
        assert_eq!(changes(&mut subscriptions), ["+tea 3"]);
    }

    #[test]
    fn nothing_grows_without_a_broker() {
        let mut subscriptions = Subscriptions::default();
        for number in 0..100u32 {
            subscriptions.set(&number.to_be_bytes(), true);
            subscriptions.set(&number.to_be_bytes(), false);
        }
        assert!(subscriptions.rooms.is_empty() && subscriptions.changed.is_empty());
    }
}

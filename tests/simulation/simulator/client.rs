//! Peers: each has a list of things to do, and a way of reading.

use std::collections::VecDeque;
use std::time::Duration;

use tinytcp_core::os::moment::Moment;

use super::choices::Choices;
use super::network::Network;
use super::wire::{End, Sizes};

/// One thing that a peer does.
#[derive(Clone, Debug)]
pub enum Act {
    /// Sends bytes, in pieces of a length of its own.
    Say(Vec<u8>),
    /// Does nothing for a while, but read.
    Pause(Duration),
    /// Waits until everything that it said is answered.
    AwaitAnswers,
    /// Ends its output, and goes on reading.
    HalfClose,
    /// Closes its socket.
    Close,
    /// Breaks the connection off.
    Reset,
    /// Waits for the end of its input, and closes.
    AwaitEnd,
}

/// How a peer reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    /// Whatever comes, when it comes.
    Eager,
    /// So many bytes in such intervals.
    Slow(usize, Duration),
    Never,
    /// Nothing before this moment.
    NotBefore(Moment),
}

/// How a peer behaves.
#[derive(Clone, Debug)]
pub struct Manner {
    pub listener: usize,
    pub reading: Reading,
    /// How many bytes it sends at a time.
    pub piece_len: usize,
    /// How long it thinks between two acts, at most.
    pub thinking: Duration,
    pub sizes: Sizes,
    /// The end of its input does not keep it from talking on.
    pub is_stubborn: bool,
}

/// A peer.
#[derive(Debug)]
pub struct Client {
    /// What a report calls peers of its kind.
    pub kind: &'static str,
    manner: Manner,
    acts: VecDeque<Act>,
    is_connected: bool,
    is_done: bool,
    /// When it acts next by itself; [`Moment::NEVER`] when it waits for the server.
    next_at: Moment,
    next_read_at: Moment,
    /// Until when it only reads.
    pauses_until: Moment,
    /// How much it has taken.
    pub taken: u64,
}

impl Client {
    /// A peer that connects at `connects_at`.
    pub fn new(kind: &'static str, manner: Manner, acts: Vec<Act>, connects_at: Moment) -> Self {
        Self {
            kind,
            manner,
            acts: acts.into(),
            is_connected: false,
            is_done: false,
            next_at: connects_at,
            next_read_at: Moment::START,
            pauses_until: Moment::START,
            taken: 0,
        }
    }

    pub fn listener(&self) -> usize {
        self.manner.listener
    }

    pub fn sizes(&self) -> Sizes {
        self.manner.sizes
    }

    pub fn is_done(&self) -> bool {
        self.is_done
    }

    pub fn is_eager(&self) -> bool {
        self.manner.reading == Reading::Eager
    }

    /// When it acts next by itself.
    pub fn next_at(&self) -> Moment {
        if self.is_done { Moment::NEVER } else { self.next_at }
    }

    /// True exactly when it is time for it to act.
    pub fn is_due(&self, now: Moment) -> bool {
        self.next_at() <= now
    }

    /// Something has happened on its connection.
    pub fn wake(&mut self, now: Moment) {
        self.next_at = self.next_at.min(now);
    }

    /// How much it reads now.
    fn appetite(&mut self, now: Moment) -> usize {
        match self.manner.reading {
            Reading::Eager => usize::MAX,
            Reading::Never => 0,
            Reading::NotBefore(moment) if now < moment => 0,
            Reading::NotBefore(_) => usize::MAX,
            Reading::Slow(_, _) if now < self.next_read_at => 0,
            Reading::Slow(len, interval) => {
                self.next_read_at = now.after(interval);
                len
            }
        }
    }

    /// When it reads by itself, though nothing happens.
    fn reads_at(&self, untaken_len: usize, now: Moment) -> Moment {
        match self.manner.reading {
            Reading::NotBefore(moment) if now < moment => moment,
            Reading::Slow(..) if untaken_len > 0 => self.next_read_at,
            _ => Moment::NEVER,
        }
    }
}

impl Network {
    /// A peer does the next thing that it has to do.
    pub fn act(&mut self, id: usize) {
        if !self.links[id].client.is_connected {
            return self.connect(id);
        }
        self.take(id);
        let now = self.now;
        let link = &mut self.links[id];
        let (end, is_stubborn) = (link.wire.end_seen_by_peer(), link.client.manner.is_stubborn);
        // Who never reads never finds the end of its input either.
        let is_left_alone =
            link.client.manner.reading == Reading::Never && link.wire.is_closed_by_server();
        let waits =
            matches!(link.client.acts.front(), None | Some(Act::AwaitEnd | Act::AwaitAnswers));
        let is_heard_out = !is_stubborn || waits;
        let is_over = end == End::Reset || (end == End::Orderly && is_heard_out) || is_left_alone;
        if is_over {
            self.note(
                id,
                if end == End::Reset { "peer finds it reset" } else { "peer has the end" },
                (0, 0),
                b"",
            );
            return self.leave(id);
        }
        let mut next_at = self.links[id].client.pauses_until;
        if next_at <= now {
            next_at = self.perform(id).map_or(Moment::NEVER, |pause| now.after(pause));
        }
        let link = &mut self.links[id];
        if next_at != Moment::NEVER {
            link.client.pauses_until = next_at;
        }
        link.client.next_at = next_at.min(link.client.reads_at(link.wire.untaken_len(), now));
    }

    fn connect(&mut self, id: usize) {
        let (now, listener) = (self.now, self.links[id].client.listener());
        let client = &mut self.links[id].client;
        if !self.is_listening {
            client.is_done = true;
        } else if self.queues[listener].waiting.len() < self.plan.config.backlog as usize {
            client.is_connected = true;
            client.next_at = now.after(self.choices.duration(client.manner.thinking));
            self.queues[listener].waiting.push_back(id);
            self.queues[listener].has_edge = true;
            self.note(id, "connects to listener", (listener, 0), b"");
            self.update_queues();
        } else {
            client.next_at = now.after(Duration::from_secs(1));
        }
    }

    fn take(&mut self, id: usize) {
        let link = &mut self.links[id];
        let appetite = link.client.appetite(self.now);
        let bytes = link.wire.take(appetite);
        link.client.taken += bytes.len() as u64;
        if !bytes.is_empty() {
            self.note(id, "peer takes", (bytes.len(), 0), b"");
        }
    }

    /// Does the first thing on the list, or a part of it. Gives how long it thinks before the next;
    /// `None` when it waits for the server.
    fn perform(&mut self, id: usize) -> Option<Duration> {
        let link = &mut self.links[id];
        let thinking = self.choices.duration(link.client.manner.thinking);
        let Some(act) = link.client.acts.pop_front() else {
            self.leave(id);
            return None;
        };
        let is_answered = link.is_answered();
        match act {
            Act::Say(bytes) => {
                let piece = &bytes[..bytes.len().min(link.client.manner.piece_len)];
                let count = link.wire.push(piece);
                let rest = bytes[count..].to_vec();
                if !rest.is_empty() {
                    link.client.acts.push_front(Act::Say(rest));
                }
                self.note(id, "peer sends", (count, bytes.len()), &bytes[..count]);
                return (count > 0).then_some(thinking);
            }
            Act::Pause(time) => return Some(time),
            Act::AwaitAnswers if !is_answered => {
                link.client.acts.push_front(Act::AwaitAnswers);
                return None;
            }
            Act::AwaitAnswers => {}
            Act::HalfClose => {
                self.note(id, "peer ends its output", (0, 0), b"");
                self.links[id].wire.end();
            }
            Act::Close => self.leave(id),
            Act::Reset => {
                self.note(id, "peer resets it", (0, 0), b"");
                self.links[id].wire.fail(libc::ECONNRESET);
                self.leave(id);
            }
            Act::AwaitEnd => {
                link.client.acts.push_front(Act::AwaitEnd);
                return None;
            }
        }
        Some(thinking)
    }

    /// A peer closes its socket.
    pub fn leave(&mut self, id: usize) {
        self.note(id, "peer closes", (0, 0), b"");
        let link = &mut self.links[id];
        link.wire.peer_close();
        link.client.is_done = true;
    }
}

impl super::network::Link {
    /// True exactly when all that the peer has sent was read, run, answered, and the answers taken.
    fn is_answered(&self) -> bool {
        self.account.is_accepted
            && self.wire.unread_len() == 0
            && self.wire.untaken_len() == 0
            && !self.account.oracle.is_within_message()
            && self.account.oracle.is_all_given()
    }
}

/// Sizes of the kernel's buffers, small ones too.
pub fn sizes(choices: &mut Choices) -> Sizes {
    Sizes {
        receive_max: choices.pick(&[200_000, 64, 3000, 65_536]),
        send_max: choices.pick(&[1 << 20, 64, 3000, 65_536]),
    }
}

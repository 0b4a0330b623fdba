//! The clients: each has a list of acts and a way of reading.

use std::collections::VecDeque;
use std::time::Duration;

use tinytcp_core::os::moment::Moment;

use super::channel::{End, Sizes};
use super::choices::Choices;
use super::network::Network;
use super::proxy::{Fate, Header};
use super::tls::Engine;

/// One act of a client.
#[derive(Clone, Debug)]
pub enum Act {
    /// Sends bytes, in pieces.
    Send(Vec<u8>),
    /// Only reads for this time.
    Pause(Duration),
    /// Waits until all sent messages are answered.
    AwaitAnswers,
    /// Sends the header of a proxy, which no layer changes.
    SendRaw(Vec<u8>),
    /// Sends bytes instead of records.
    SendGarbage(Vec<u8>),
    /// Begins a handshake of TLS.
    ShakeHands,
    /// Changes the keys of its records.
    UpdateKeys,
    /// Flips a bit of its next records.
    Spoil,
    /// Sends this many bytes of records, and then never another one.
    FallSilentAt(u64),
    /// Announces the end of its output.
    SayGoodbye,
    /// Ends its output and goes on reading.
    HalfClose,
    /// Closes its socket.
    Close,
    /// Resets the connection.
    Reset,
    /// Waits for the end of its input, then closes.
    AwaitEnd,
}

/// How a client reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadPattern {
    /// All bytes at once.
    Eager,
    /// A number of bytes per interval.
    Slow(usize, Duration),
    Never,
    /// Nothing before this moment.
    NotBefore(Moment),
}

/// How a client behaves.
#[derive(Clone, Debug)]
pub struct Manner {
    pub listener: usize,
    pub reading: ReadPattern,
    /// The length of its pieces.
    pub piece_len: usize,
    /// The longest time between two acts.
    pub thinking: Duration,
    pub sizes: Sizes,
    /// True if it goes on sending after the end of its input.
    pub is_stubborn: bool,
}

/// A client.
#[derive(Debug)]
pub struct Client {
    /// The name of its kind in a report.
    pub kind: &'static str,
    manner: Manner,
    acts: VecDeque<Act>,
    is_connected: bool,
    is_done: bool,
    /// When it acts next by itself; [`Moment::NEVER`] while it waits for the server.
    next_at: Moment,
    next_read_at: Moment,
    /// Until when it only reads.
    pauses_until: Moment,
    /// The bytes that it has read.
    pub taken: u64,
    /// What its connection begins with, at a listener for proxies.
    pub header: Option<Header>,
    /// Its side of TLS, at an encrypted listener.
    pub tls: Option<Box<Engine>>,
}

impl Client {
    /// Creates a client that connects at `connects_at`.
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
            header: None,
            tls: None,
        }
    }

    /// True if it connects to a listener for proxies from an address that is no proxy.
    pub fn is_untrusted(&self) -> bool {
        self.header.as_ref().is_some_and(|header| header.fate == Fate::IsUntrusted)
    }

    /// Puts an act before all others.
    pub fn do_next(&mut self, act: Act) {
        self.acts.push_front(act);
    }

    /// Drops its acts, and ends the connection in one of several ways.
    pub fn fall_silent(&mut self, choices: &mut Choices) {
        let end = match choices.below(4) {
            0 => Act::AwaitEnd,
            1 => Act::HalfClose,
            2 => Act::Close,
            _ => Act::Reset,
        };
        self.acts = [end, Act::AwaitEnd].into();
    }

    /// True once the server has announced the end of its output.
    pub fn is_server_done(&self) -> bool {
        self.tls.as_ref().is_some_and(|engine| engine.is_server_done())
    }

    pub fn piece_len(&self) -> usize {
        self.manner.piece_len
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
        self.manner.reading == ReadPattern::Eager
    }

    /// When it acts next by itself.
    pub fn next_at(&self) -> Moment {
        if self.is_done { Moment::NEVER } else { self.next_at }
    }

    /// True if it has to act now.
    pub fn is_due(&self, now: Moment) -> bool {
        self.next_at() <= now
    }

    /// Wakes it, because something has happened on its connection.
    pub fn wake(&mut self, now: Moment) {
        self.next_at = self.next_at.min(now);
    }

    /// How many bytes it reads now.
    fn appetite(&mut self, now: Moment) -> usize {
        match self.manner.reading {
            ReadPattern::Eager => usize::MAX,
            ReadPattern::Never => 0,
            ReadPattern::NotBefore(moment) if now < moment => 0,
            ReadPattern::NotBefore(_) => usize::MAX,
            ReadPattern::Slow(_, _) if now < self.next_read_at => 0,
            ReadPattern::Slow(len, interval) => {
                self.next_read_at = now.after(interval);
                len
            }
        }
    }

    /// When it reads next if nothing happens.
    fn reads_at(&self, unread_output_len: usize, now: Moment) -> Moment {
        match self.manner.reading {
            ReadPattern::NotBefore(moment) if now < moment => moment,
            ReadPattern::Slow(..) if unread_output_len > 0 => self.next_read_at,
            _ => Moment::NEVER,
        }
    }
}

impl Network {
    /// Lets a client act once.
    pub fn act(&mut self, id: usize) {
        if !self.links[id].client.is_connected {
            return self.connect(id);
        }
        self.take(id);
        let now = self.now;
        let link = &mut self.links[id];
        let (end, is_stubborn) = (link.channel.end_seen_by_peer(), link.client.manner.is_stubborn);
        // A client that never reads does not find the end of its input either.
        let is_left_alone =
            link.client.manner.reading == ReadPattern::Never && link.channel.is_closed_by_server();
        let waits =
            matches!(link.client.acts.front(), None | Some(Act::AwaitEnd | Act::AwaitAnswers))
                || link.client.tls.as_ref().is_some_and(|engine| engine.is_handshaking());
        let is_heard_out = !is_stubborn || waits;
        let is_over = end == End::Reset || (end == End::Orderly && is_heard_out) || is_left_alone;
        if is_over {
            self.note(
                id,
                if end == End::Reset { "peer reads a reset" } else { "peer reads the end" },
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
        link.client.next_at =
            next_at.min(link.client.reads_at(link.channel.unread_output_len(), now));
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
        let bytes = link.channel.take(appetite);
        link.client.taken += bytes.len() as u64;
        if !bytes.is_empty() {
            self.note(id, "peer reads", (bytes.len(), 0), b"");
        }
    }

    /// Does the first act of the list, or a part of it. Returns the time before the next act;
    /// `None` while the client waits for the server.
    fn perform(&mut self, id: usize) -> Option<Duration> {
        let thinking = self.choices.duration(self.links[id].client.manner.thinking);
        if self.has_records_to_send(id) {
            return self.send_records(id).then_some(thinking);
        }
        let link = &mut self.links[id];
        let Some(act) = link.client.acts.pop_front() else {
            self.leave(id);
            return None;
        };
        let is_answered = link.is_answered();
        let act = match self.perform_encrypted(id, act, thinking) {
            Ok(pause) => return pause,
            Err(act) => act,
        };
        let link = &mut self.links[id];
        match act {
            Act::Send(bytes) | Act::SendRaw(bytes) => {
                let piece = &bytes[..bytes.len().min(link.client.manner.piece_len)];
                let count = link.channel.push(piece);
                let rest = bytes[count..].to_vec();
                if !rest.is_empty() {
                    // No layer changes it either.
                    link.client.acts.push_front(Act::SendRaw(rest));
                }
                self.note(id, "peer sends", (count, bytes.len()), &bytes[..count]);
                return (count > 0).then_some(thinking);
            }
            Act::Pause(time) => return Some(time),
            Act::SendGarbage(_)
            | Act::ShakeHands
            | Act::UpdateKeys
            | Act::Spoil
            | Act::FallSilentAt(_)
            | Act::SayGoodbye => {}
            Act::AwaitAnswers if !is_answered => {
                link.client.acts.push_front(Act::AwaitAnswers);
                return None;
            }
            Act::AwaitAnswers => {}
            Act::HalfClose => {
                self.note(id, "peer ends its output", (0, 0), b"");
                self.links[id].channel.end();
            }
            Act::Close => self.leave(id),
            Act::Reset => {
                self.note(id, "peer resets it", (0, 0), b"");
                self.links[id].channel.fail(libc::ECONNRESET);
                self.leave(id);
            }
            Act::AwaitEnd => {
                link.client.acts.push_front(Act::AwaitEnd);
                return None;
            }
        }
        Some(thinking)
    }

    /// Closes the socket of a client.
    pub fn leave(&mut self, id: usize) {
        self.note(id, "peer closes", (0, 0), b"");
        let link = &mut self.links[id];
        link.channel.peer_close();
        link.client.is_done = true;
    }
}

impl super::network::Link {
    /// True if all that the client has sent is answered, and it has read the answers.
    fn is_answered(&self) -> bool {
        self.account.is_accepted
            && self.channel.unread_len() == 0
            && self.channel.unread_output_len() == 0
            && !self.account.oracle.is_within_message()
            && self.account.oracle.is_all_sent()
            && self.client.tls.as_ref().is_none_or(|engine| engine.is_all_given())
    }
}

/// Chooses the sizes of the kernel's buffers, small ones too.
pub fn sizes(choices: &mut Choices) -> Sizes {
    Sizes {
        receive_max: choices.pick(&[200_000, 64, 3000, 65_536]),
        send_max: choices.pick(&[1 << 20, 64, 3000, 65_536]),
    }
}

//! A model of a broker, in worlds whose servers share their rooms. It delays messages and keeps
//! their order, loses its connection or falls silent, comes back, and publishes messages of other
//! servers.
//!
//! ```text
//!   server --send--> channel --take--> operations: each message here, once, in order
//!   server <-receive- channel <-push-- outbox, with a delay: PONG, messages from elsewhere
//! ```

mod calls;
mod operations;
mod plan;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use tinytcp_core::os::moment::Moment;

use super::channel::Channel;
use super::invariant::Invariant;
use super::network::Network;
pub use operations::settings;
use operations::{Operation, first_operation};
pub use plan::Plan;
use plan::Trouble;

/// The prefix of a room in its subject.
const PREFIX: &str = "tinytcp.room.";

/// The first line of a broker.
const INFO: &[u8] = b"INFO {\"server_id\":\"N\",\"max_payload\":1048576}\r\n";

/// The broker, and the messages of other servers.
pub struct Broker {
    plan: Plan,
    /// Until when it refuses connections.
    down_until: Moment,
    link: Option<Link>,
    /// The least number of this server's messages that it can have read.
    read_min: usize,
}

/// Its connection to the server.
struct Link {
    channel: Channel,
    /// The bytes of an incomplete operation that it has read.
    read: Vec<u8>,
    /// When it reads again, if there is something.
    reads_at: Moment,
    /// The bytes that it sends, in order, each with its time.
    outbox: VecDeque<(Moment, Vec<u8>)>,
    /// The bytes of an incomplete operation that the server has read.
    arrived: Vec<u8>,
    /// The numbers of the subscriptions, by room.
    subscriptions: BTreeMap<String, String>,
    /// The number of this server's messages at the time when the server read that it is accepted.
    /// It drops none from then on.
    opened_at: Option<usize>,
    /// The places among this server's messages that the next one can have: several if some are
    /// equal.
    places: BTreeSet<usize>,
    /// True if it neither reads nor sends any more.
    is_silent: bool,
}

impl Broker {
    /// Creates a broker that follows `plan`.
    pub fn new(plan: Plan) -> Self {
        Self { plan, down_until: Moment::START, link: None, read_min: 0 }
    }

    /// When it acts next by itself.
    fn next_at(&self) -> Moment {
        let link = self.link.as_ref().map_or(Moment::NEVER, Link::next_at);
        self.plan.next_at().min(link)
    }
}

impl Link {
    fn next_at(&self) -> Moment {
        if self.is_silent {
            return Moment::NEVER;
        }
        let has_room = self.channel.accepts_input();
        let sends_at = self.outbox.front().filter(|_| has_room).map_or(Moment::NEVER, |it| it.0);
        let has_input = self.channel.unread_output_len() > 0;
        sends_at.min(if has_input { self.reads_at } else { Moment::NEVER })
    }

    /// Sends `bytes` at `at`, and not before what it has to send already.
    fn send_at(&mut self, at: Moment, bytes: Vec<u8>) {
        let last = self.outbox.back().map_or(Moment::START, |it| it.0);
        self.outbox.push_back((at.max(last), bytes));
    }
}

impl Network {
    /// When the broker acts next by itself.
    pub fn next_act_of_broker(&self) -> Moment {
        self.broker.as_ref().map_or(Moment::NEVER, Broker::next_at)
    }

    /// Lets the broker act.
    pub fn act_as_broker(&mut self) {
        let (now, is_calm) = (self.now, self.faults.are_over());
        let Some(broker) = &mut self.broker else { return };
        while let Some(trouble) = broker.plan.next_trouble(now) {
            // After that time it would outlast the faults.
            if !is_calm {
                self.trace.note(now, None, "the broker has trouble", (0, 0), b"");
                broker.suffer(trouble, now);
            }
        }
        while let Some(message) = broker.plan.next_message(now) {
            broker.publish(message.room, &message.payload(), now);
        }
        self.read_as_broker();
        let Some(link) = self.broker.as_mut().and_then(|broker| broker.link.as_mut()) else {
            return;
        };
        while !link.is_silent
            && let Some((_, bytes)) = link.outbox.front_mut().filter(|(at, _)| *at <= now)
        {
            let count = link.channel.push(bytes);
            bytes.drain(..count);
            if !bytes.is_empty() {
                break;
            }
            link.outbox.pop_front();
        }
    }

    /// Lets the broker read what the server has sent, and run the operations in it.
    fn read_as_broker(&mut self) {
        let now = self.now;
        let Some(broker) = &mut self.broker else { return };
        let Some(link) = broker.link.as_mut().filter(|it| !it.is_silent && it.reads_at <= now)
        else {
            return;
        };
        let bytes = link.channel.take(usize::MAX);
        link.read.extend(bytes);
        let mut read = std::mem::take(&mut link.read);
        while let Some((len, operation)) = first_operation(&read) {
            if let Err(what) = self.run_operation(operation) {
                self.fail(Invariant::BusAgrees, None, what);
            }
            read.drain(..len);
        }
        if let Some(link) = self.broker.as_mut().and_then(|broker| broker.link.as_mut()) {
            link.read = read;
        }
    }

    fn run_operation(&mut self, operation: Operation) -> Result<(), String> {
        let now = self.now;
        let (returns, latency) = (self.choices.chance(100), self.latency());
        let Some(broker) = &mut self.broker else { return Ok(()) };
        let Some(link) = &mut broker.link else { return Ok(()) };
        match operation {
            Operation::Other => {}
            Operation::Ping => link.send_at(now.after(latency), b"PONG\r\n".to_vec()),
            Operation::Subscribe(subject, id) => {
                let room = subject.strip_prefix(PREFIX).ok_or("a subject is not that of a room")?;
                if link.subscriptions.insert(room.to_owned(), id).is_some() {
                    return Err(format!("it has subscribed to {room} twice"));
                }
            }
            Operation::Unsubscribe(id) => {
                let count = link.subscriptions.len();
                link.subscriptions.retain(|_, known| *known != id);
                if link.subscriptions.len() == count {
                    return Err(format!("there is no subscription {id}"));
                }
            }
            Operation::Publish(subject, payload) => {
                let room = subject.strip_prefix(PREFIX).ok_or("a subject is not that of a room")?;
                link.note_published(room, &payload, &self.rooms)?;
                broker.read_min = link.places.first().copied().unwrap_or(broker.read_min);
                self.cover(super::coverage::Behaviour::Published);
                // A broker can return a message that came over an earlier connection.
                if returns && let Some(broker) = &mut self.broker {
                    broker.publish(room, &payload, now);
                }
            }
            Operation::Malformed(line) => return Err(format!("\"{line}\" is no operation")),
        }
        Ok(())
    }
}

impl Broker {
    fn suffer(&mut self, trouble: Trouble, now: Moment) {
        if let Some(link) = &mut self.link {
            link.is_silent = true;
            match trouble {
                Trouble::Silence => {}
                Trouble::Reset(_) => link.channel.fail(libc::ECONNRESET),
                Trouble::End(_) => link.channel.peer_close(),
            }
        }
        if let Trouble::Reset(time) | Trouble::End(time) = trouble {
            self.down_until = now.after(time);
        }
    }

    /// Sends a message to the server if it has asked for those of its room.
    fn publish(&mut self, room: &str, payload: &str, now: Moment) {
        let at = now.after(self.plan.latency_max);
        if let Some(link) = &mut self.link
            && let Some(id) = link.subscriptions.get(room)
        {
            let message = format!("MSG {PREFIX}{room} {id} {}\r\n{payload}\r\n", payload.len());
            link.send_at(at, message.into_bytes());
        }
    }
}

//! A member: its unsent bytes, and what it has received so far.

use std::time::Duration;

use tinytcp_cli::target::ProtocolName;
use tinytcp_cli::tls_demand;
use tinytcp_core::display::escape::{front, shown};

use super::channel::{Channel, Ended};
use super::counters::{Counters, Violation};
use super::payload::Payload;
use super::room::Room;
use super::wire::{self, Arrival};
use crate::measurement::format::plural;
use crate::traffic::plan::TlsPlan;

/// The state of a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// The connection is being opened.
    Connecting,
    /// The end of the handshake of TLS is due.
    Encrypting,
    /// The banner is due.
    Greeting,
    /// The answer to its `JOIN` is due.
    Joining,
    /// It is in its room.
    Joined,
    /// Its connection is over, or was never opened.
    Lost,
}

/// A member of a room.
#[derive(Debug)]
pub struct Member {
    pub index: usize,
    pub room: usize,
    /// Its number among the publishers of its room.
    pub publisher: Option<usize>,
    pub is_silent: bool,
    pub phase: Phase,
    pub channel: Option<Channel>,
    /// Bytes that are not written yet.
    output: Vec<u8>,
    /// The start of an arrival that is incomplete.
    input: Vec<u8>,
    /// Messages that it has sent, and that have no answer yet.
    pub unanswered: u64,
    /// Messages that it has received, and those that `MISSED` counted.
    received: u64,
    missed: u64,
    /// The next number that may arrive from each publisher.
    next: Vec<u32>,
    /// Its place in the order of the room is known.
    knows_place: bool,
}

/// The state that the members of a run share while one of them reads.
pub struct Surroundings<'a> {
    pub protocol: ProtocolName,
    /// The URL of the server.
    pub target: &'a str,
    pub tls: Option<&'a TlsPlan>,
    pub size: usize,
    /// Time since the start of the run.
    pub now: Duration,
    pub room: &'a mut Room,
    pub counters: &'a mut Counters,
}

impl Member {
    /// Creates a member that is not connected yet.
    pub fn new(index: usize, room: usize, publisher: Option<usize>, publishers: usize) -> Self {
        Self {
            index,
            room,
            publisher,
            is_silent: false,
            phase: Phase::Connecting,
            channel: None,
            output: Vec::new(),
            input: Vec::new(),
            unanswered: 0,
            received: 0,
            missed: 0,
            next: vec![0; publishers],
            // A publisher does not receive its own messages, so its place is unknown.
            knows_place: publisher.is_none(),
        }
    }

    /// Lets the member enter its room over a connection that can carry messages: with `join` at
    /// once, or after the banner of the server.
    ///
    /// # Errors
    /// When the connection is over.
    pub fn enter(&mut self, protocol: ProtocolName, join: &[u8]) -> Result<(), Ended> {
        if wire::speaks_first(protocol) {
            self.phase = Phase::Greeting;
            return Ok(());
        }
        self.phase = Phase::Joining;
        self.send(join)
    }

    /// Adds `bytes` to the unsent bytes, and writes as many of these as the kernel takes.
    ///
    /// # Errors
    /// When the connection is over.
    pub fn send(&mut self, bytes: &[u8]) -> Result<(), Ended> {
        self.output.extend_from_slice(bytes);
        self.flush()
    }

    /// Writes as many of the unsent bytes as the kernel takes.
    ///
    /// # Errors
    /// When the connection is over.
    pub fn flush(&mut self) -> Result<(), Ended> {
        self.channel.as_mut().map_or(Ok(()), |channel| channel.send(&mut self.output))
    }

    /// Reads and checks all that has arrived, in pieces of `block`.
    ///
    /// # Errors
    /// When the connection is over, or the server does not speak the protocol.
    pub fn read(
        &mut self,
        block: &mut [u8],
        around: &mut Surroundings<'_>,
        join: &[u8],
    ) -> Result<(), Ended> {
        while let Some(channel) = &mut self.channel
            && let Some(len) = channel.read(block)?
        {
            if around.tls.is_none() && self.input.is_empty() {
                // The common case: the bytes are checked where they are.
                let used = self.take_all(&block[..len], around, join)?;
                self.input.extend_from_slice(&block[used..len]);
                continue;
            }
            let opened = channel.open(&block[..len], around.tls, &mut self.input);
            if self.phase == Phase::Encrypting && channel.is_established() {
                self.enter(around.protocol, join)?;
            }
            let mut input = std::mem::take(&mut self.input);
            let used = self.take_all(&input, around, join)?;
            input.drain(..used);
            self.input = input;
            // What came before the end is taken first: it can be the reason.
            opened?;
        }
        Ok(())
    }

    /// Takes all complete arrivals of `input`. Returns their length.
    fn take_all(
        &mut self,
        input: &[u8],
        around: &mut Surroundings<'_>,
        join: &[u8],
    ) -> Result<usize, Ended> {
        let mut used = 0;
        while let Some((arrival, len)) = wire::next(around.protocol, &input[used..])? {
            used += len;
            match (self.phase, arrival) {
                (Phase::Greeting, Arrival::Answer(_)) => {
                    self.phase = Phase::Joining;
                    self.send(join)?;
                }
                (Phase::Joining, Arrival::Answer(_)) => self.phase = Phase::Joined,
                (Phase::Greeting | Phase::Joining, Arrival::Error(tls_demand::ERROR)) => {
                    return Err(Ended(tls_demand::remedy(around.target)));
                }
                (Phase::Greeting | Phase::Joining, Arrival::Error(token)) => {
                    return Err(Ended(format!(
                        "the server sent ERROR {}",
                        shown(front(token, 48))
                    )));
                }
                (Phase::Greeting | Phase::Joining, _) => {
                    return Err(Ended("the server has no rooms: it did not answer JOIN".into()));
                }
                (_, Arrival::Message(text)) => self.take_message(text, around),
                (_, Arrival::Missed(count)) => self.take_missed(count, around),
                (_, Arrival::Answer(answer)) => self.take_answer(wire::reached(answer), around),
                (_, Arrival::Error(token)) => self.take_refusal(token, around)?,
            }
        }
        Ok(used)
    }

    /// Takes a count of missed messages, unless it is more than were sent. So the server cannot
    /// choose how long the order of its room gets.
    fn take_missed(&mut self, count: u64, around: &mut Surroundings<'_>) {
        let index = self.index;
        if count > around.counters.sent.saturating_sub(self.received + self.missed) {
            return around.counters.violations.add(Violation::Miscounted, 1, || {
                let messages = plural(count, "message");
                format!("member {index} got MISSED for {messages}, more than exist")
            });
        }
        self.missed += count;
        around.counters.missed += count;
    }

    fn take_message(&mut self, text: &[u8], around: &mut Surroundings<'_>) {
        let index = self.index;
        let sent = around.counters.sent;
        let violations = &mut around.counters.violations;
        let message = Payload::parse(text, around.size).filter(|message| {
            (message.publisher as usize) < self.next.len() && u64::from(message.number) < sent
        });
        let Some(message) = message else {
            let text = shown(front(text, 48));
            return violations.add(Violation::Damaged, 1, || {
                format!("member {index} got '{text}', which no publisher sent")
            });
        };
        let Payload { publisher, number, due_ns } = message;
        if self.publisher == Some(publisher as usize) {
            return violations.add(Violation::Own, 1, || {
                format!("publisher {publisher} got its own message {number}")
            });
        }
        let next = &mut self.next[publisher as usize];
        if number < *next {
            let kind =
                if number + 1 == *next { Violation::Duplicated } else { Violation::Reordered };
            return violations.add(kind, 1, || {
                format!(
                    "member {index} got message {number} of publisher {publisher} again or late"
                )
            });
        }
        *next = number + 1;
        let place = usize::try_from(self.received + self.missed).unwrap_or(usize::MAX);
        self.received += 1;
        if self.knows_place && !around.room.agrees(place, message) {
            // All its later places would be wrong for the same reason.
            self.knows_place = false;
            violations.add(Violation::Reordered, 1, || {
                format!(
                    "member {index} got message {number} of publisher {publisher} at place \
                     {place}, where another member got another one"
                )
            });
        }
        around.counters.delivered += 1;
        around.counters.received_bytes += text.len() as u64;
        around.counters.recent.record(around.now.saturating_sub(Duration::from_nanos(due_ns)), 1);
    }

    fn take_answer(&mut self, reached: Option<u64>, around: &mut Surroundings<'_>) {
        let Some(publisher) = self.publisher else { return };
        around.counters.accepted += 1;
        around.room.accepted[publisher] += 1;
        self.unanswered = self.unanswered.saturating_sub(1);
        let others = around.room.members.saturating_sub(1);
        let is_known = !around.room.has_changed && !around.room.has_silent;
        if is_known && reached != Some(others) {
            around.counters.violations.add(Violation::Miscounted, 1, || {
                format!("publisher {publisher} was told {reached:?} members instead of {others}")
            });
        }
    }

    fn take_refusal(&mut self, token: &[u8], around: &mut Surroundings<'_>) -> Result<(), Ended> {
        let token = shown(front(token, 48)).to_string();
        // An error without a message that it can answer is the reason why the server closes.
        self.unanswered = self
            .unanswered
            .checked_sub(1)
            .ok_or_else(|| Ended(format!("the server sent ERROR {token}")))?;
        *around.counters.refused.entry(token).or_default() += 1;
        Ok(())
    }

    /// Returns the number of messages that are still to come; negative if too many came.
    pub fn outstanding(&self, room: &Room) -> i64 {
        let expected = room.accepted_from_others(self.publisher);
        let got = self.received + self.missed;
        i64::try_from(expected).unwrap_or(i64::MAX) - i64::try_from(got).unwrap_or(i64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broadcast::payload::SIZE_MIN;

    /// Lets a member receive `lines` after `sent` messages were sent. Returns the counts.
    fn received(sent: u64, lines: &str) -> Counters {
        let mut member = Member::new(0, 0, None, 1);
        member.phase = Phase::Joined;
        let (mut room, mut counters) = (Room::new(1), Counters { sent, ..Counters::default() });
        let mut around = Surroundings {
            protocol: ProtocolName::Text,
            target: "text://localhost",
            tls: None,
            size: SIZE_MIN,
            now: Duration::ZERO,
            room: &mut room,
            counters: &mut counters,
        };
        let used = member.take_all(lines.as_bytes(), &mut around, b"").expect("lines of a member");
        assert_eq!(used, lines.len());
        counters
    }

    fn message(number: u32) -> String {
        let payload = Payload { publisher: 0, number, due_ns: 0 };
        format!("FROM ana {}\n", String::from_utf8_lossy(&payload.text(SIZE_MIN)))
    }

    #[test]
    fn a_message_that_no_publisher_has_sent_is_damaged() {
        let counters = received(1, &message(u32::MAX).repeat(2));
        assert_eq!((counters.violations.damaged_count, counters.delivered), (2, 0));
    }

    #[test]
    fn more_missed_messages_than_exist_are_miscounted() {
        for line in ["MISSED 2\n", "MISSED 18446744073709551615\n"] {
            let counters = received(1, &[line, line, &message(0)].concat());
            let counts =
                (counters.violations.miscounted_count, counters.missed, counters.delivered);
            assert_eq!(counts, (2, 0, 1), "{line}");
        }
    }

    #[test]
    fn messages_and_those_that_were_missed_are_counted() {
        let counters = received(3, &format!("{}MISSED 1\n{}", message(0), message(2)));
        assert_eq!((counters.delivered, counters.missed, counters.violations.total()), (2, 1, 0));
    }
}

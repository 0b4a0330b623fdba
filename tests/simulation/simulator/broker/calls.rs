//! The calls of the server on its connection to the broker, and the checks of the bus.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io;
use std::time::Duration;

use tinytcp_core::os::moment::Moment;
use tinytcp_core::os::system::{Event, Readiness};
use tinytcp_core::os::table::Token;
use tinytcp_core::status::BusStatus;

use super::super::channel::{Channel, Refusal};
use super::super::client::sizes;
use super::super::coverage::Behaviour;
use super::super::faults::Fault;
use super::super::invariant::Invariant;
use super::super::network::Network;
use super::{Broker, INFO, Link};

impl Network {
    /// Connects to the broker.
    pub fn connect_to_broker(&mut self) -> io::Result<()> {
        self.calls_in_round += 1;
        let is_silent = self.strikes(Fault::NetworkError);
        let sizes = sizes(&mut self.choices);
        let at = self.now.after(self.latency());
        let now = self.now;
        let Some(broker) = &mut self.broker else { return Err(io::ErrorKind::Unsupported.into()) };
        if now < broker.down_until {
            return Err(io::Error::from_raw_os_error(libc::ECONNREFUSED));
        }
        if broker.link.is_some() {
            self.fail(Invariant::BusAgrees, None, "it has a second connection to the broker");
            return Ok(());
        }
        broker.link = Some(Link {
            channel: Channel::new(sizes),
            read: Vec::new(),
            reads_at: Moment::NEVER,
            outbox: [(at, INFO.to_vec())].into(),
            arrived: Vec::new(),
            subscriptions: BTreeMap::new(),
            opened_at: None,
            places: BTreeSet::new(),
            is_silent,
        });
        self.trace.note(now, None, "the bus connects", (0, 0), b"");
        self.cover(Behaviour::BusConnected);
        Ok(())
    }

    /// Watches the connection to the broker.
    pub fn register_bus(&mut self, token: Token) -> io::Result<()> {
        if token != Token::BUS {
            self.fail(Invariant::BusAgrees, None, "the bus has the token of a connection");
        }
        if self.strikes(Fault::RegisterError) {
            return Err(io::Error::from_raw_os_error(libc::ENOSPC));
        }
        if let Some(link) = self.link_to_broker() {
            link.channel.register();
        }
        Ok(())
    }

    /// Reads from the broker.
    pub fn receive_from_broker(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.begin_bus_call();
        let Self { broker, rooms, .. } = self;
        let Some(Broker { link: Some(link), read_min, .. }) = broker else {
            return Err(io::ErrorKind::NotConnected.into());
        };
        let bytes = link.channel.receive(buf.len()).map_err(error)?;
        buf[..bytes.len()].copy_from_slice(&bytes);
        link.note_arrived(&bytes, *read_min, rooms);
        self.trace.note(self.now, None, "the bus reads", (bytes.len(), buf.len()), &bytes);
        Ok(bytes.len())
    }

    /// Writes to the broker.
    pub fn send_to_broker(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.begin_bus_call();
        let mut most = bytes.len();
        if self.strikes(Fault::ShortWrite) {
            most = 1 + self.choices.below(most);
        }
        if self.strikes(Fault::RefusedWrite) {
            most = 0;
        }
        let reads_at = self.now.after(self.latency());
        let Some(link) = self.link_to_broker() else {
            return Err(io::ErrorKind::NotConnected.into());
        };
        if link.channel.unread_output_len() == 0 {
            link.reads_at = reads_at;
        }
        let count = link.channel.send(bytes, most).map_err(error)?;
        self.trace.note(self.now, None, "the bus sends", (count, bytes.len()), &bytes[..count]);
        Ok(count)
    }

    /// The server drops its connection to the broker.
    pub fn close_bus(&mut self) {
        self.calls_in_round += 1;
        self.trace.note(self.now, None, "the bus closes its connection", (0, 0), b"");
        if let Some(broker) = &mut self.broker {
            broker.link = None;
        }
    }

    /// Reports the events of the connection to the broker.
    pub fn fetch_bus_events(&mut self, events: &mut Vec<Event>) {
        let edge = self.link_to_broker().and_then(|link| link.channel.take_edge());
        if let Some(readiness) = edge {
            self.report_in_parts(Token::BUS, readiness, events);
        }
        if self.broker.is_some() && self.strikes(Fault::SpuriousEvent) {
            let readiness = Readiness { readable: true, writable: true, read_to_end: false };
            events.push(Event::Connection(Token::BUS, readiness));
        }
    }

    /// Makes room in the kernel again after a fault without room.
    pub fn make_room_for_bus(&mut self) {
        if let Some(link) = self.link_to_broker() {
            link.channel.make_room();
        }
    }

    /// Checks the bus before the server sleeps. A broker that has read everything must have
    /// received each message that members have sent since it accepted the server, and must have the
    /// subscriptions of all rooms with members.
    pub fn check_bus_at_rest(&mut self) {
        let is_withheld = self.is_withheld(Token::BUS);
        let Self { broker, rooms, .. } = self;
        let Some(Broker { link: Some(link), .. }) = broker else { return };
        let is_at_rest = !is_withheld
            && !link.is_silent
            && !link.channel.has_edge()
            && link.channel.is_writable()
            && link.channel.unread_output_len() == 0;
        let Some(opened_at) = link.opened_at.filter(|_| is_at_rest) else { return };
        let subscribed: BTreeSet<&str> = link.subscriptions.keys().map(String::as_str).collect();
        let wanted: BTreeSet<&str> = rooms.wanted().collect();
        let said = rooms.said.len();
        let what = if said > opened_at && !link.places.contains(&said) {
            format!("of {said} messages it has published those up to {:?}", link.places)
        } else if subscribed != wanted {
            format!("members are in {wanted:?}, and it has subscribed to {subscribed:?}")
        } else {
            return;
        };
        self.fail(Invariant::BusAgrees, None, what);
    }

    /// Checks in the end that each message to and from other servers was counted.
    pub fn check_bus_counters(&mut self, status: &BusStatus) {
        let (said, taken) = (self.rooms.said.len() as u64, self.rooms.taken);
        let counted = (status.published + status.dropped, status.received);
        self.behaviours[Behaviour::Received as usize] += taken;
        self.behaviours[Behaviour::Dropped as usize] += status.dropped;
        if counted != (said, taken) {
            let what = format!("counted {counted:?}; {said} were said here, {taken} elsewhere");
            self.fail(Invariant::Accounted, None, what);
        }
    }

    /// Chooses the time that something takes to or from the broker.
    pub(super) fn latency(&mut self) -> Duration {
        let most = self.broker.as_ref().map_or(Duration::ZERO, |broker| broker.plan.latency_max);
        self.choices.duration(most)
    }

    fn link_to_broker(&mut self) -> Option<&mut Link> {
        self.broker.as_mut()?.link.as_mut()
    }

    fn begin_bus_call(&mut self) {
        self.calls_in_round += 1;
        self.interleave();
        if self.strikes(Fault::NetworkReset)
            && let Some(link) = self.link_to_broker()
        {
            link.is_silent = true;
            link.channel.fail(libc::ECONNRESET);
        }
    }
}

fn error(refusal: Refusal) -> io::Error {
    match refusal {
        Refusal::WouldBlock => io::ErrorKind::WouldBlock.into(),
        Refusal::Errno(errno) => io::Error::from_raw_os_error(errno),
    }
}

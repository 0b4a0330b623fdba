//! The connection to the broker: one more connection of the loop, which speaks as a client.
//!
//! ```text
//!   Waiting ----> LookingUp ----> Connected: INFO, CONNECT, PING, PONG, then messages
//!      ^              |               |
//!      '--- backoff --+---------------'
//! ```
//!
//! It has no place in the table of connections: it counts against no limit, is no client in the
//! log, and ends with the loop. While it is down, the rooms of this server go on, and messages for
//! other servers are dropped and counted. Its memory is bounded: 128 KiB of input, and the output
//! of [`OUTPUT_BYTES_MAX`](crate::bus::session::OUTPUT_BYTES_MAX).

use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use super::bus_channel::Channel;
use super::bus_failure::{CONNECT_TIMEOUT, Failure, PING_INTERVAL};
use crate::bus::backoff::{Backoff, WAIT_MAX};
use crate::bus::session::{Event, Session};
use crate::bus::settings::BusSettings;
use crate::display::escape::quoted;
use crate::display::plural::plural;
use crate::logging::throttle::Throttle;
use crate::os::moment::Moment;
use crate::os::system::{Readiness, Socket, System};
use crate::os::table::Token;
use crate::rooms::Rooms;
use crate::status::BusStatus;
use crate::tls::client::ClientLayer;
use crate::wire::nats::OPERATION_BYTES_MAX;

/// The storage of the input: the longest operation, and 32 KiB more, so that each read has room.
const INPUT_LEN: usize = OPERATION_BYTES_MAX + (32 << 10);

/// The bus of a server.
pub(super) struct Bus<S> {
    session: Session,
    link: Link<S>,
    backoff: Backoff,
    /// The addresses of the broker that were not tried since the last lookup.
    addresses: VecDeque<SocketAddr>,
    /// The last logged reason of a failed attempt to connect: the same reason is logged once.
    logged: String,
    throttle: Throttle,
}

/// The state of the connection to the broker.
enum Link<S> {
    /// There is no connection. The next attempt begins at this moment.
    Waiting(Moment),
    /// The addresses of the broker are not known yet.
    LookingUp,
    Connected(Channel<S>),
}

/// What the bus uses of the loop.
pub(super) struct Surroundings<'a> {
    pub(super) rooms: &'a mut Rooms,
    pub(super) status: &'a mut BusStatus,
    pub(super) now: Moment,
}

impl<S: Socket> Bus<S> {
    pub(super) fn new(settings: BusSettings, now: Moment) -> Self {
        Self {
            backoff: Backoff::new(settings.origin().0),
            session: Session::new(settings),
            link: Link::Waiting(now),
            addresses: VecDeque::new(),
            logged: String::new(),
            throttle: Throttle::default(),
        }
    }

    /// Returns the status of a bus that is not connected yet.
    pub(super) fn first_status(settings: &BusSettings) -> BusStatus {
        BusStatus { is_required: settings.is_required(), ..BusStatus::default() }
    }

    /// Remembers the readiness that an event reports. A late event of an earlier connection does no
    /// harm: the next read or write then finds that it would block.
    pub(super) const fn remember(&mut self, readiness: Readiness) {
        if let Link::Connected(channel) = &mut self.link {
            channel.readable |= readiness.readable;
            channel.writable |= readiness.writable;
        }
    }

    /// True if the next step has something to do.
    pub(super) fn is_ready(&self) -> bool {
        match &self.link {
            Link::Connected(it) => {
                let has_sealed = it.tls.as_ref().is_some_and(|tls| tls.wants_write());
                it.readable || it.writable && (has_sealed || !self.session.output().is_empty())
            }
            Link::Waiting(_) | Link::LookingUp => false,
        }
    }

    /// When the next step is due without an event.
    pub(super) const fn deadline(&self) -> Moment {
        match &self.link {
            Link::Waiting(until) => *until,
            Link::LookingUp => Moment::NEVER,
            Link::Connected(channel) => channel.deadline,
        }
    }

    /// Takes the result of a lookup.
    pub(super) fn note_addresses(
        &mut self,
        result: Result<Vec<SocketAddr>, Arc<io::Error>>,
        mut around: Surroundings<'_>,
    ) {
        if !matches!(self.link, Link::LookingUp) {
            return;
        }
        match result {
            Ok(addresses) if !addresses.is_empty() => {
                self.addresses = addresses.into();
                self.link = Link::Waiting(around.now);
            }
            Ok(_) => self.fail(&Failure::NoAddress, &mut around),
            Err(error) => self.fail(&Failure::LookUp(error), &mut around),
        }
    }

    /// Runs one step: moves bytes from and to the broker, exchanges messages with the rooms, and
    /// acts on deadlines. It reads once and delivers at most what was read.
    pub(super) fn advance<Y: System<Socket = S>>(
        &mut self,
        system: &mut Y,
        mut around: Surroundings<'_>,
    ) {
        let result = match self.link {
            Link::Waiting(until) if until <= around.now => self.connect(system, around.now),
            Link::Waiting(_) | Link::LookingUp => Ok(()),
            // What has come already is no silence, even if this server has not run in time.
            Link::Connected(_) => {
                self.receive(&mut around).and_then(|()| self.check_deadline(around.now))
            }
        };
        if let Err(failure) = result {
            self.fail(&failure, &mut around);
        }
        self.take_from_rooms(&mut around);
        if let Err(failure) = self.send() {
            self.fail(&failure, &mut around);
        }
    }

    /// Begins to connect to the next address, after a lookup if none is left.
    fn connect(
        &mut self,
        system: &mut impl System<Socket = S>,
        now: Moment,
    ) -> Result<(), Failure> {
        let (host, port) = (self.session.settings().host(), self.session.settings().port());
        let addr = match (self.addresses.pop_front(), host.parse::<IpAddr>()) {
            (Some(addr), _) => addr,
            (None, Ok(ip)) => SocketAddr::new(ip, port),
            (None, Err(_)) => {
                system.look_up(host, port).map_err(|error| Failure::LookUp(Arc::new(error)))?;
                self.link = Link::LookingUp;
                return Ok(());
            }
        };
        let mut socket = system.connect(addr)?;
        system.register(&mut socket, Token::BUS)?;
        self.link = Link::Connected(Channel {
            socket,
            readable: false,
            writable: false,
            tls: None,
            input: vec![0; INPUT_LEN].into(),
            filled: 0,
            deadline: now.after(CONNECT_TIMEOUT),
            since: now,
            is_silent: false,
            error: None,
        });
        Ok(())
    }

    /// Sends a `PING` when it is due.
    ///
    /// # Errors
    /// When the broker has not accepted this server in time, or has sent nothing since the last
    /// `PING`.
    fn check_deadline(&mut self, now: Moment) -> Result<(), Failure> {
        let Link::Connected(channel) = &mut self.link else { return Ok(()) };
        if now < channel.deadline {
            return Ok(());
        }
        if !self.session.is_open() {
            return Err(Failure::NotAccepted);
        }
        if channel.is_silent {
            return Err(Failure::NoPong);
        }
        channel.deadline = now.after(PING_INTERVAL);
        channel.is_silent = true;
        self.session.ping();
        Ok(())
    }

    /// Reads once and runs the operations that are complete.
    fn receive(&mut self, around: &mut Surroundings<'_>) -> Result<(), Failure> {
        let Link::Connected(channel) = &mut self.link else { return Ok(()) };
        if !channel.readable {
            return Ok(());
        }
        match channel.receive()? {
            Some(0) => return Err(Failure::Closed(channel.error.take())),
            Some(count) => channel.filled += count,
            None => return Ok(()),
        }
        let (mut is_opened, mut error) = (false, None);
        let input = &channel.input[..channel.filled];
        let consumed = self.session.receive(input, |event| match event {
            Event::Opened => is_opened = true,
            Event::Error(reason) => error = Some(quoted(reason).to_string()),
            Event::Ignored => around.status.ignored += 1,
            Event::Message { room, name, text } => {
                let room = str::from_utf8(room).unwrap_or_default();
                match around.rooms.deliver(room, name, text) {
                    Ok(1..) => around.status.received += 1,
                    Ok(0) | Err(_) => around.status.ignored += 1,
                }
            }
        });
        let consumed = consumed?;
        channel.input.copy_within(consumed..channel.filled, 0);
        channel.filled -= consumed;
        if self.session.awaits_tls() {
            self.begin_tls()?;
        }
        if let Some(error) = error {
            self.note_error(error, around.now);
        }
        if is_opened {
            self.note_opened(around);
        }
        Ok(())
    }

    /// Begins TLS after the broker has sent its INFO, and appends CONNECT and PING, which are sent
    /// over it.
    fn begin_tls(&mut self) -> Result<(), Failure> {
        let Link::Connected(channel) = &mut self.link else { return Ok(()) };
        if channel.filled > 0 {
            return Err(Failure::BytesBeforeTls);
        }
        let settings = self.session.settings();
        let authorities = settings.authorities().ok_or(Failure::NoAuthority)?;
        channel.tls = Some(Box::new(ClientLayer::new(authorities, settings.host())?));
        self.session.join();
        Ok(())
    }

    /// Notes an error that the broker has reported on an open connection.
    fn note_error(&mut self, error: String, now: Moment) {
        if self.throttle.allows(now) {
            log::warn!(
                event = "bus_error", reason = error.as_str();
                "the broker reports an error: {error}"
            );
        }
        if let Link::Connected(channel) = &mut self.link {
            channel.error = Some(error);
        }
    }

    fn note_opened(&mut self, around: &mut Surroundings<'_>) {
        let Link::Connected(channel) = &mut self.link else { return };
        channel.since = around.now;
        channel.deadline = around.now.after(PING_INTERVAL);
        around.status.is_connected = true;
        around.status.connects += 1;
        self.addresses.clear();
        self.logged.clear();
        let broker = self.session.settings();
        log::info!(
            event = "bus_connected", broker:%;
            "the bus is connected to {broker}: rooms reach the members of other servers"
        );
    }

    /// Hands two things to the session: the rooms that have got their first member or lost their
    /// last one, and the messages that members of this server have said.
    fn take_from_rooms(&mut self, around: &mut Surroundings<'_>) {
        let Surroundings { rooms, status, now } = around;
        for room in rooms.take_changed() {
            self.session.set_wanted(room.as_bytes(), rooms.has(&room));
        }
        self.session.append_changes();
        let dropped_before = status.dropped;
        for message in rooms.take_outgoing() {
            match self.session.publish(message.room.as_bytes(), message.name(), message.text()) {
                true => status.published += 1,
                false => status.dropped += 1,
            }
        }
        status.dropped += rooms.take_overflows();
        let dropped = status.dropped - dropped_before;
        if dropped > 0 && self.session.is_open() && self.throttle.allows(*now) {
            log::warn!(
                event = "bus_slow", dropped;
                "the broker reads too slowly, or its max_payload is too small: {} did not reach \
                 other servers",
                plural(dropped, "message")
            );
        }
    }

    /// Writes until the kernel accepts no more.
    fn send(&mut self) -> Result<(), Failure> {
        let Link::Connected(channel) = &mut self.link else { return Ok(()) };
        channel.send(&mut self.session)
    }

    /// Ends the connection or the attempt to connect. The next address is tried at once, and when
    /// all have failed, after a wait.
    fn fail(&mut self, failure: &Failure, around: &mut Surroundings<'_>) {
        let was_open = self.session.is_open();
        if let Link::Connected(channel) = &mut self.link
            && was_open
        {
            // Otherwise the kernel would still send what it holds when a cut link is back, after
            // newer messages on the next connection.
            channel.socket.reset_on_close();
            if around.now.since(channel.since) > WAIT_MAX {
                self.backoff.reset();
            }
        }
        self.session.restart();
        around.status.is_connected = false;
        let wait = match self.addresses.is_empty() {
            true => self.backoff.next_wait(),
            false => Duration::ZERO,
        };
        self.link = Link::Waiting(around.now.after(wait));
        self.log_failure(&failure.to_string(), was_open, wait);
    }

    fn log_failure(&mut self, reason: &str, was_open: bool, wait: Duration) {
        let broker = self.session.settings();
        if was_open {
            log::warn!(
                event = "bus_lost", broker:%, reason, retry_seconds = wait.as_secs_f64();
                "the bus has lost {broker}: {reason}; rooms reach the members of this server only"
            );
        } else if self.logged != reason {
            log::warn!(
                event = "bus_unreachable", broker:%, reason, retry_seconds = wait.as_secs_f64();
                "the bus cannot connect to {broker}: {reason}; trying again until it can"
            );
            reason.clone_into(&mut self.logged);
        } else {
            log::debug!(
                event = "bus_unreachable", broker:%, reason, retry_seconds = wait.as_secs_f64();
                "the bus cannot connect to {broker}: {reason}; trying again in {wait:?}"
            );
        }
    }

    /// Sends the last messages and ends the connection, when the loop ends. Bytes that the kernel
    /// does not accept now are lost.
    pub(super) fn finish<Y>(&mut self, _system: &mut Y, mut around: Surroundings<'_>) {
        self.take_from_rooms(&mut around);
        let mut is_sent = self.send().is_ok();
        if let Link::Connected(Channel { tls: Some(tls), .. }) = &mut self.link {
            tls.finish();
            is_sent = is_sent && self.send().is_ok();
        }
        if is_sent && let Link::Connected(channel) = &mut self.link {
            // It fails only if the connection is lost already.
            let _ = channel.socket.shutdown_write();
        }
    }
}

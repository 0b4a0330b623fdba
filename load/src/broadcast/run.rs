//! A run in one thread: all members join, publishers send at the rate, and every delivery is
//! checked.

use std::io;
use std::time::{Duration, Instant, SystemTime};

use mio::event::Event;
use mio::{Events, Poll, Token};
use tinytcp_cli::tls_demand::{self, SILENCE};

use super::channel::Ended;
use super::counters::{Counters, Violation};
use super::member::{Member, Phase, Surroundings};
use super::opening::{self, Joined, Opening};
use super::payload::Payload;
use super::room::Room;
use super::settings::BroadcastSettings;
use super::{tls_question, wire};
use crate::engine::cpu_usage::CpuUsage;
use crate::engine::interruption::Interruption;
use crate::engine::timer::Timer;
use crate::error::LoadError;
use crate::measurement::format::plural;
use crate::measurement::latency::Latency;
use crate::measurement::outcome::Slice;

const TIMER: Token = Token(usize::MAX);

/// The length of a step that observers see.
const STEP: Duration = Duration::from_secs(1);

/// The longest wait for events, after which an interruption is noticed.
const WAIT_MAX: Duration = Duration::from_millis(20);

/// The most messages that are sent before members read again.
const BATCH_MAX: usize = 256;

const BLOCK_BYTES: usize = 64 << 10;

/// Observes the course of a run.
pub trait BroadcastObserver {
    /// `joined` of `all` members are in their rooms.
    fn opening(&mut self, joined: usize, all: usize);

    /// A step of a second is complete, `elapsed` after the start, with `unsent` messages that are
    /// due.
    fn step(&mut self, step: &Slice, unsent: u64, elapsed: Duration);

    /// The run is over.
    fn finish(&mut self);
}

/// The outcome of a run.
#[derive(Debug)]
pub struct BroadcastOutcome {
    /// Wall-clock time of the start.
    pub started: SystemTime,
    /// The time for which messages were published.
    pub ran: Duration,
    /// The time from the start to the last delivery.
    pub last_delivery: Duration,
    /// The members that joined.
    pub joined: Joined,
    /// All counts.
    pub counters: Counters,
    /// Processor time of the generator while it published and read.
    pub cpu: CpuUsage,
    /// The reason why the first connection was lost, or not opened.
    pub first_loss: Option<String>,
    /// The number of the signal that interrupted it.
    pub interrupted_by: Option<i32>,
}

/// Makes a run.
///
/// # Errors
/// Fails if the system refuses a poller.
pub fn run(
    settings: &BroadcastSettings,
    interruption: &Interruption,
    observer: &mut impl BroadcastObserver,
) -> Result<BroadcastOutcome, LoadError> {
    let refused = |error| LoadError::System {
        action: "watch sockets",
        error,
        remedy: "raise the open-file limit: `ulimit -n`",
    };
    let mut run = Run::new(settings, interruption).map_err(refused)?;
    let joined = run.join_all(observer).map_err(refused)?;
    run.start = Instant::now();
    let (started, cpu) = (SystemTime::now(), CpuUsage::of_this_thread());
    if joined.count == settings.members {
        run.publish(observer).map_err(refused)?;
    }
    let ran = run.start.elapsed().min(settings.duration);
    run.settle(observer).map_err(refused)?;
    let cpu = CpuUsage::of_this_thread().since(cpu);
    if interruption.signal().is_none() {
        run.check_completeness();
    }
    observer.finish();
    run.counters.take_recent();
    Ok(BroadcastOutcome {
        started,
        ran,
        last_delivery: run.last_delivery,
        joined,
        counters: run.counters,
        cpu,
        first_loss: run.first_loss,
        interrupted_by: interruption.signal(),
    })
}

struct Run<'a> {
    settings: &'a BroadcastSettings,
    interruption: &'a Interruption,
    poll: Poll,
    timer: Timer,
    members: Vec<Member>,
    rooms: Vec<Room>,
    /// The members that publish, those of different rooms in turn.
    publishers: Vec<usize>,
    opening: Opening,
    joined: usize,
    counters: Counters,
    block: Vec<u8>,
    start: Instant,
    last_delivery: Duration,
    /// The counts at the last step, and its end.
    last_step: (u64, u64, u64),
    stepped: Duration,
    first_loss: Option<String>,
}

impl<'a> Run<'a> {
    fn new(settings: &'a BroadcastSettings, interruption: &'a Interruption) -> io::Result<Self> {
        let poll = Poll::new()?;
        let member = |index| {
            let (room, publisher) = (settings.room_of(index), settings.publisher_of(index));
            let mut member = Member::new(index, room, publisher, settings.publishers);
            member.is_silent = settings.is_silent(index);
            member
        };
        let mut rooms: Vec<Room> =
            (0..settings.rooms).map(|_| Room::new(settings.publishers)).collect();
        for index in settings.members - settings.silent..settings.members {
            rooms[settings.room_of(index)].has_silent = true;
        }
        Ok(Self {
            timer: Timer::new(poll.registry(), TIMER)?,
            members: (0..settings.members).map(member).collect(),
            rooms,
            publishers: (0..settings.rooms * settings.publishers).collect(),
            opening: Opening::new(),
            joined: 0,
            counters: Counters::default(),
            block: vec![0; BLOCK_BYTES],
            start: Instant::now(),
            last_delivery: Duration::ZERO,
            last_step: (0, 0, 0),
            stepped: Duration::ZERO,
            first_loss: None,
            settings,
            interruption,
            poll,
        })
    }

    /// Lets all members join. Ends early when none has joined for the timeout, or when the server
    /// is silent because it demands TLS.
    fn join_all(&mut self, observer: &mut impl BroadcastObserver) -> io::Result<Joined> {
        let (begun, mut progress) = (Instant::now(), (0, Instant::now()));
        let mut has_asked = false;
        loop {
            let refused =
                self.opening.start(self.settings, &mut self.members, self.poll.registry());
            for (index, ended) in refused {
                self.lose(index, ended);
            }
            observer.opening(self.joined, self.settings.members);
            if !has_asked && begun.elapsed() >= SILENCE.min(self.settings.timeout) {
                has_asked = true;
                if self.is_unheard() && tls_question::demands_tls(self.settings) {
                    self.first_loss = Some(tls_demand::remedy(&self.settings.target));
                    return Ok(Joined { count: 0, took: begun.elapsed() });
                }
            }
            if self.joined > progress.0 {
                progress = (self.joined, Instant::now());
            }
            let is_stuck = progress.1.elapsed() >= self.settings.timeout;
            if self.opening.pending == 0 || is_stuck || self.interruption.signal().is_some() {
                return Ok(Joined { count: self.joined, took: begun.elapsed() });
            }
            self.turn(WAIT_MAX)?;
        }
    }

    /// Returns true if all members wait for a banner in plain bytes, and none has come.
    fn is_unheard(&self) -> bool {
        let waits = |member: &Member| matches!(member.phase, Phase::Connecting | Phase::Greeting);
        self.settings.tls.is_none()
            && wire::speaks_first(self.settings.protocol)
            && self.members.iter().all(waits)
    }

    /// Publishes for the duration.
    fn publish(&mut self, observer: &mut impl BroadcastObserver) -> io::Result<()> {
        while self.interruption.signal().is_none() {
            let now = self.start.elapsed();
            for _ in 0..BATCH_MAX {
                let due = self.next_due();
                if due > now || due >= self.settings.duration {
                    break;
                }
                self.publish_one();
            }
            self.step(observer);
            if now >= self.settings.duration {
                break;
            }
            let next = self.next_due().min(self.settings.duration);
            self.turn(next.saturating_sub(self.start.elapsed()))?;
        }
        Ok(())
    }

    /// Reads until all deliveries have come, or none has come for the timeout.
    fn settle(&mut self, observer: &mut impl BroadcastObserver) -> io::Result<()> {
        let mut progress = (self.arrived(), Instant::now());
        while self.interruption.signal().is_none() && self.is_incomplete() {
            self.turn(WAIT_MAX)?;
            self.step(observer);
            if self.arrived() > progress.0 {
                progress = (self.arrived(), Instant::now());
            } else if progress.1.elapsed() >= self.settings.timeout {
                break;
            }
        }
        self.show_step(observer);
        Ok(())
    }

    fn arrived(&self) -> u64 {
        let counters = &self.counters;
        counters.delivered + counters.missed + counters.accepted + counters.violations.total()
    }

    fn is_incomplete(&self) -> bool {
        self.readers()
            .any(|member| member.unanswered > 0 || member.outstanding(&self.rooms[member.room]) > 0)
    }

    /// Returns the members that read and are not lost.
    fn readers(&self) -> impl Iterator<Item = &Member> {
        self.members.iter().filter(|member| member.phase == Phase::Joined && !member.is_silent)
    }

    /// Counts the deliveries that never came, and those that `MISSED` counted in excess.
    fn check_completeness(&mut self) {
        let mut violations = std::mem::take(&mut self.counters.violations);
        for member in self.readers() {
            let (room, index) = (&self.rooms[member.room], member.index);
            let outstanding = member.outstanding(room);
            let count = outstanding.unsigned_abs();
            // MISSED may count the own messages of a publisher, and a lost publisher did not
            // receive all of its answers.
            let is_exact = member.publisher.is_none() && !room.has_changed;
            if outstanding > 0 {
                violations.add(Violation::Lost, count, || {
                    let messages = plural(count, "message");
                    format!("member {index} did not get {messages}, without MISSED")
                });
            } else if outstanding < 0 && is_exact {
                violations.add(Violation::Miscounted, count, || {
                    let messages = plural(count, "message");
                    format!("member {index} got {messages} too many, MISSED included")
                });
            }
        }
        self.counters.violations = violations;
    }

    /// Returns the time at which the next message is due.
    fn next_due(&self) -> Duration {
        Duration::try_from_secs_f64(self.counters.due as f64 / self.settings.rate)
            .unwrap_or(Duration::MAX)
    }

    fn publish_one(&mut self) {
        let due = self.next_due();
        let round = usize::try_from(self.counters.due).unwrap_or(usize::MAX);
        let index = self.publishers[round % self.publishers.len()];
        let number = u32::try_from(round / self.publishers.len()).unwrap_or(u32::MAX);
        self.counters.due += 1;
        let member = &mut self.members[index];
        let Some(publisher) = member.publisher.filter(|_| member.phase == Phase::Joined) else {
            return;
        };
        let payload = Payload {
            publisher: u32::try_from(publisher).unwrap_or(u32::MAX),
            number,
            due_ns: u64::try_from(due.as_nanos()).unwrap_or(u64::MAX),
        };
        let mut command = Vec::new();
        wire::append_say(self.settings.protocol, &payload.text(self.settings.size), &mut command);
        self.counters.lag.record(self.start.elapsed().saturating_sub(due), 1);
        self.counters.sent += 1;
        member.unanswered += 1;
        if let Err(ended) = member.send(&command) {
            self.lose(index, ended);
        }
    }

    /// Waits for events, at most for `wait`, and handles them.
    fn turn(&mut self, wait: Duration) -> io::Result<()> {
        let wait = wait.min(WAIT_MAX);
        self.timer.set(wait)?;
        let mut events = Events::with_capacity(1024);
        match self.poll.poll(&mut events, Timer::poll_timeout(wait)) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(()),
            polled => polled?,
        }
        for event in events.iter().filter(|event| event.token() != TIMER) {
            if let Err(ended) = self.handle(event) {
                self.end(event.token().0, ended);
            }
        }
        Ok(())
    }

    fn handle(&mut self, event: &Event) -> Result<(), Ended> {
        let member = &mut self.members[event.token().0];
        let mut join = Vec::new();
        if member.phase != Phase::Joined {
            let room = self.settings.room_name(member.room);
            wire::append_join(self.settings.protocol, &room, &mut join);
        }
        if member.phase == Phase::Connecting {
            opening::opened(self.settings, member, &join)?;
        }
        if member.phase == Phase::Connecting {
            return Ok(());
        }
        member.flush()?;
        if member.is_silent && member.phase == Phase::Joined {
            let is_over = event.is_error() || event.is_read_closed();
            return if is_over { Err(Ended("the server closed it".into())) } else { Ok(()) };
        }
        let was_joined = member.phase == Phase::Joined;
        let delivered = self.counters.delivered;
        let now = self.start.elapsed();
        let mut around = Surroundings {
            protocol: self.settings.protocol,
            target: &self.settings.target,
            tls: self.settings.tls.as_ref(),
            size: self.settings.size,
            now,
            room: &mut self.rooms[member.room],
            counters: &mut self.counters,
        };
        let read = member.read(&mut self.block, &mut around, &join);
        if self.counters.delivered > delivered {
            self.last_delivery = now;
        }
        if !was_joined && member.phase == Phase::Joined {
            self.rooms[member.room].members += 1;
            self.joined += 1;
            self.opening.pending -= 1;
        }
        read
    }

    /// Handles the end of a connection: one that was refused is tried at the next address.
    fn end(&mut self, index: usize, ended: Ended) {
        let member = &mut self.members[index];
        let is_opening = member.phase == Phase::Connecting;
        if !(is_opening && self.opening.try_next(self.settings, member, self.poll.registry())) {
            self.lose(index, ended);
        }
    }

    fn lose(&mut self, index: usize, Ended(reason): Ended) {
        let member = &mut self.members[index];
        let before = std::mem::replace(&mut member.phase, Phase::Lost);
        // Dropping the channel closes it.
        member.channel = None;
        match before {
            Phase::Lost => return,
            Phase::Joined => {
                let room = &mut self.rooms[member.room];
                room.members -= 1;
                room.has_changed = true;
                let lost = match member.is_silent {
                    true => &mut self.counters.lost_silent_members,
                    false => &mut self.counters.lost_members,
                };
                *lost += 1;
            }
            _ => self.opening.pending -= 1,
        }
        if !member.is_silent || before != Phase::Joined {
            self.first_loss.get_or_insert(format!("member {index}: {reason}"));
        }
    }

    /// Shows the last second, if it is over.
    fn step(&mut self, observer: &mut impl BroadcastObserver) {
        if self.start.elapsed() >= self.stepped + STEP {
            self.show_step(observer);
        }
    }

    fn show_step(&mut self, observer: &mut impl BroadcastObserver) {
        let elapsed = self.start.elapsed();
        let counters = &self.counters;
        let counts = (counters.sent, counters.delivered, counters.errors());
        let slice = Slice {
            start: self.stepped,
            length: elapsed.saturating_sub(self.stepped),
            sent: counts.0 - self.last_step.0,
            correct: counts.1 - self.last_step.1,
            errors: counts.2.saturating_sub(self.last_step.2),
            open: self.members.iter().filter(|member| member.channel.is_some()).count(),
            latency: self.counters.take_recent(),
            handshake: Latency::default(),
        };
        (self.last_step, self.stepped) = (counts, elapsed);
        let due = (elapsed.min(self.settings.duration).as_secs_f64() * self.settings.rate) as u64;
        observer.step(&slice, due.saturating_sub(counts.0), elapsed);
    }
}

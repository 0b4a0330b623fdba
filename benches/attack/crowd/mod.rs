//! The attackers: one thread with one `mio::Poll`, and a seat for each attacker.
//!
//! ```text
//!   seats  | mute 0 .. | slowloris 0 .. | churner 0 .. | flooder 0 .. |   the seat is the token
//!
//!   an event, a deadline, or work to go on with --> attacker.act
//!     --> wait | wait until | go on | leave
//!   left or closed by the server --> pause --> the seat is taken again
//! ```
//!
//! A seat whose attacker has left, or whose connection the server has closed, connects again after
//! a pause, until the attack is over.

mod churner;
mod connect;
mod flooder;
mod mute;
mod slowloris;
mod tally;

use std::error::Error;
use std::io;
use std::mem;
use std::net::SocketAddr;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use nix::unistd::gettid;
use tinytcp_core::os::moment::Moment;
use tinytcp_core::os::system::{interrupted, would_block};
use tinytcp_core::queues::deadlines::Deadlines;

pub use tally::Tally;

use super::processors::Processors;

const EVENTS_MAX: usize = 1024;
/// The longest wait for an event, after which the end of the attack is noticed.
const LOOK_AROUND: Duration = Duration::from_millis(20);
/// The time from the arrival of one attacker to the next. All at once would only test the queue of
/// the listener.
const ARRIVAL: Duration = Duration::from_micros(500);

/// The addresses of the server's listeners.
#[derive(Clone, Copy)]
pub struct Target {
    pub text: SocketAddr,
    pub binary: SocketAddr,
}

/// The next step of an attacker.
enum Next {
    /// To wait for an event.
    Wait,
    /// To wait for an event or for this time.
    Until(Moment),
    /// To be called again after the other attackers.
    GoOn,
    /// To close the connection.
    Close,
    /// To reset the connection.
    Reset,
    /// Nothing: the server has ended the connection.
    Ended,
    /// Nothing: an answer of the server is not the one to its request.
    Wrong,
}

/// One life of an attacker: from connecting to the end of the connection.
trait Attacker: Send {
    /// Does what is possible now. The call may come without an event, and before the connection is
    /// established.
    fn act(&mut self, stream: &mut TcpStream, now: Moment, tally: &mut Tally) -> io::Result<Next>;
}

/// A connection, and the attacker that uses it.
type Life = (TcpStream, Box<dyn Attacker>);

/// A kind of attack.
#[derive(Clone)]
pub struct Kind {
    name: &'static str,
    count: usize,
    /// The number of the first attacker. The behaviour of an attacker may depend on its number.
    first: usize,
    /// The time from the end of one life to the next.
    pause: Duration,
    /// Begins a life of attacker `number` of this kind, after `lives` earlier ones.
    begin: fn(Target, number: usize, lives: u64, now: Moment) -> io::Result<Life>,
}

pub fn all_kinds() -> Vec<Kind> {
    vec![mute::KIND, slowloris::KIND, churner::KIND, Kind { count: 2, ..flooder::KIND }]
}

/// Returns flooders only, of lines and of frames in turn. Each flooder is a kind, so that its
/// answers are counted separately.
pub fn flooders(count: usize) -> Vec<Kind> {
    (0..count).map(|first| Kind { first, ..flooder::KIND }).collect()
}

/// Returns the number of connections of all attackers.
pub fn connections_max() -> usize {
    all_kinds().iter().map(|kind| kind.count).sum()
}

/// Returns the number of attackers of each kind as text.
pub fn describe() -> String {
    let kinds: Vec<String> =
        all_kinds().iter().map(|kind| format!("{} {}", kind.count, kind.name)).collect();
    kinds.join(", ")
}

pub struct Attack {
    is_over: Arc<AtomicBool>,
    thread: JoinHandle<io::Result<Vec<Tally>>>,
}

impl Attack {
    /// Starts attackers of these kinds on the processor of the generator. If they yield, the
    /// generator runs first.
    ///
    /// # Errors
    /// When the system refuses a thread or a poller.
    pub fn start(
        kinds: Vec<Kind>,
        target: Target,
        processors: Processors,
        yields: bool,
    ) -> Result<Self, Box<dyn Error>> {
        let is_over = Arc::new(AtomicBool::new(false));
        let crowd = Crowd::new(kinds, target)?;
        let is_over_too = Arc::clone(&is_over);
        let run = move || {
            processors.be_generator()?;
            if yields {
                yield_processor()?;
            }
            crowd.run(&is_over_too)
        };
        let thread = thread::Builder::new().name("attack".into()).spawn(run)?;
        Ok(Self { is_over, thread })
    }

    /// Closes every connection, and returns the tally of each kind.
    ///
    /// # Errors
    /// When the thread of the attackers has failed.
    pub fn stop(self) -> Result<Vec<Tally>, Box<dyn Error>> {
        self.is_over.store(true, Ordering::Release);
        Ok(self.thread.join().map_err(|_| "the attack panicked")??)
    }
}

/// Lets every other thread of this processor run first, so that the attackers do not delay the
/// generator of the honest load.
fn yield_processor() -> io::Result<()> {
    let id = gettid().to_string();
    let status = Command::new("chrt").args(["--idle", "--pid", "0", &id]).status()?;
    if status.success() {
        Ok(())
    } else {
        Err(io::Error::other("chrt (package util-linux) failed"))
    }
}

/// A place for one attacker.
struct Seat {
    kind: usize,
    number: usize,
    lives: u64,
    life: Option<(TcpStream, Box<dyn Attacker>)>,
}

struct Crowd {
    kinds: Vec<Kind>,
    target: Target,
    poll: Poll,
    started: Instant,
    seats: Vec<Seat>,
    /// The time at which each seat is looked at without an event. An empty seat connects then.
    deadlines: Deadlines,
    /// The seats that can go on at once.
    busy: Vec<usize>,
    /// One tally per kind.
    tallies: Vec<Tally>,
}

impl Crowd {
    fn new(kinds: Vec<Kind>, target: Target) -> io::Result<Self> {
        let mut seats = Vec::new();
        let mut deadlines = Deadlines::default();
        for (index, kind) in kinds.iter().enumerate() {
            for number in kind.first..kind.first + kind.count {
                let order = u32::try_from(seats.len()).unwrap_or(u32::MAX);
                deadlines.bring_forward(seats.len(), Moment::START.after(ARRIVAL * order));
                seats.push(Seat { kind: index, number, lives: 0, life: None });
            }
        }
        let tallies = kinds.iter().map(|kind| Tally::new(kind.name, kind.count)).collect();
        let (poll, started) = (Poll::new()?, Instant::now());
        Ok(Self { kinds, target, poll, started, seats, deadlines, busy: Vec::new(), tallies })
    }

    fn run(mut self, is_over: &AtomicBool) -> io::Result<Vec<Tally>> {
        let mut events = Events::with_capacity(EVENTS_MAX);
        while !is_over.load(Ordering::Acquire) {
            match self.poll.poll(&mut events, Some(self.timeout())) {
                Err(error) if !interrupted(&error) => return Err(error),
                _ => {}
            }
            let mut turns = mem::take(&mut self.busy);
            turns.extend(events.iter().map(|event| event.token().0));
            turns.sort_unstable();
            turns.dedup();
            turns.into_iter().for_each(|seat| self.give_turn(seat));
            while let Some(seat) = self.deadlines.pop_due(self.now()) {
                match self.seats[seat].life {
                    Some(_) => self.give_turn(seat),
                    None => self.begin(seat),
                }
            }
        }
        Ok(self.tallies)
    }

    fn now(&self) -> Moment {
        Moment::START.after(self.started.elapsed())
    }

    fn timeout(&self) -> Duration {
        if self.busy.is_empty() {
            self.deadlines.next().since(self.now()).min(LOOK_AROUND)
        } else {
            Duration::ZERO
        }
    }

    fn give_turn(&mut self, index: usize) {
        let now = self.now();
        let Seat { kind, life, .. } = &mut self.seats[index];
        let tally = &mut self.tallies[*kind];
        // An event of the last life does not begin the next one.
        let Some((stream, attacker)) = life else { return };
        match attacker.act(stream, now, tally) {
            Ok(Next::Wait) => return,
            Ok(Next::Until(due)) => return self.deadlines.bring_forward(index, due),
            Ok(Next::GoOn) => return self.busy.push(index),
            Ok(Next::Close) => tally.left += 1,
            Ok(Next::Reset) => {
                connect::reset_on_close(stream);
                tally.left += 1;
            }
            Ok(Next::Ended) => tally.closed += 1,
            Ok(Next::Wrong) => tally.wrong += 1,
            Err(error) if would_block(&error) || interrupted(&error) => return,
            Err(error) => tally.fail(&error),
        }
        self.end(index, now);
    }

    fn begin(&mut self, index: usize) {
        let now = self.now();
        let Seat { kind, number, lives, life } = &mut self.seats[index];
        let tally = &mut self.tallies[*kind];
        let begun = (self.kinds[*kind].begin)(self.target, *number, *lives, now).and_then(
            |(mut stream, attacker)| {
                self.poll.registry().register(
                    &mut stream,
                    Token(index),
                    Interest::READABLE | Interest::WRITABLE,
                )?;
                Ok((stream, attacker))
            },
        );
        *lives += 1;
        match begun {
            Ok(begun) => {
                tally.opened += 1;
                *life = Some(begun);
            }
            Err(error) => {
                tally.fail(&error);
                self.end(index, now);
            }
        }
    }

    /// Ends the life of a seat. The next life is due after a pause.
    fn end(&mut self, index: usize, now: Moment) {
        let seat = &mut self.seats[index];
        seat.life = None;
        self.deadlines.remove(index);
        self.deadlines.bring_forward(index, now.after(self.kinds[seat.kind].pause));
    }
}

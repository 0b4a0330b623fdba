//! A million connections without a kernel. The whole loop runs on a simulated network that costs
//! next to nothing, so that the figures are those of the server.
//!
//! ```text
//! cargo bench --bench million
//! ```
//!
//! For each number of connections, all are accepted and used once. Then some of them, spread over
//! all, send one request per pass. At last every deadline falls due at once: first when the
//! connections have been used since, then when they have not. Each number has its own process, and
//! therefore its own resident set. The million takes 200 MB. The resident set is measured on Linux
//! only.

use std::alloc;
use std::cell::{Cell, RefCell};
use std::env;
use std::error::Error;
use std::fs;
use std::io;
use std::process::Command;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use tinytcp_core::limits::{LINGER_TIMEOUT, Timeouts};
use tinytcp_core::os::clock::Reading;
use tinytcp_core::os::mailbox::Mail;
use tinytcp_core::os::moment::Moment;
use tinytcp_core::os::peer::PeerAddr;
use tinytcp_core::os::system::{Event, Readiness, Socket, System};
use tinytcp_core::os::table::Token;
use tinytcp_core::protocol::Protocol;
use tinytcp_core::protocol::text::{BANNER, Text};
use tinytcp_core::server::{Config, EventLoop};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<alloc::System> = &INSTRUMENTED_SYSTEM;

const CONNECTIONS: [usize; 4] = [1000, 10_000, 100_000, 1_000_000];
/// The numbers of connections that send. In the last column all of them send, in an order that
/// defeats the caches.
const ACTIVE: [usize; 3] = [100, 1000, 10_000];
/// These connections come first, so that allocations that the server makes only once are not
/// counted.
const WARM_UP: usize = 100;
const REQUEST: &[u8] = b"ECHO Hello from client\n";
/// The number of events that the real kernel returns at a time.
const EVENTS_MAX: usize = 1024;
/// The least time for which each figure is measured.
const MEASURED: Duration = Duration::from_millis(300);

fn main() -> Result<(), Box<dyn Error>> {
    // Cargo adds a flag.
    if let Some(count) = env::args().find_map(|argument| argument.parse().ok()) {
        return measure(count);
    }
    println!(
        "| connections | bytes resident, each | allocated | ns to accept and serve one \
         | to serve one, 100 active | 1,000 active | 10,000 active | all | to put a deadline off \
         | to send one away | to close one | longest round, us |"
    );
    println!("|{}", "---|".repeat(12));
    for count in CONNECTIONS {
        let child = Command::new(env::current_exe()?).arg(count.to_string()).status()?;
        child.success().then_some(()).ok_or("a measurement failed")?;
    }
    Ok(())
}

/// Prints one line of the table.
fn measure(count: usize) -> Result<(), Box<dyn Error>> {
    let mut stage = Stage::new(WARM_UP + count);
    stage.accept(WARM_UP)?;
    let (region, resident) = (Region::new(ALLOCATOR), resident_bytes()?);
    stage.longest_round = Duration::ZERO;
    let accepting = Instant::now();
    stage.accept(count)?;
    let accept = nanoseconds_each(accepting.elapsed(), count);
    let change = region.change();
    let allocated = change.bytes_allocated.saturating_sub(change.bytes_deallocated);
    let resident = resident_bytes()?.saturating_sub(resident);
    print!("| {count} | {} | {} | {accept:.0} |", resident / count, allocated / count);

    let idle = Timeouts::default().idle.ok_or("there is an idle timeout")?;
    stage.pass(idle / 2);
    for active in ACTIVE {
        match active <= count {
            true => print!(" {:.0} |", stage.serve(active)?),
            false => print!(" |"),
        }
    }
    print!(" {:.0} |", stage.serve(WARM_UP + count)?);

    // First the deadlines that were entered on accept are due, but every connection has been used
    // since. Then the idle timeout of all has passed. At last all peers have failed to close their
    // side in time.
    for time in [idle / 2, idle / 2, LINGER_TIMEOUT] {
        stage.pass(time);
        print!(" {:.0} |", stage.expire(WARM_UP + count)?);
    }
    assert_eq!(stage.network.open.get(), 0, "connections are left over");
    println!(" {} |", stage.longest_round.as_micros());
    Ok(())
}

/// The state that the loop and the measurement share.
struct Network {
    now: Cell<Moment>,
    /// Connections that wait to be accepted.
    backlog: Cell<usize>,
    /// The events for the next waits, the next one last.
    events: RefCell<Vec<Event>>,
    tokens: RefCell<Vec<Token>>,
    /// The number of the request that a readable connection sends, unless it has sent it before.
    /// With 0, none has a request.
    pass: Cell<u32>,
    taken_bytes: Cell<u64>,
    open: Cell<usize>,
    /// True exactly when the last wait had no event.
    is_quiet: Cell<bool>,
}

thread_local! {
    /// Not in each socket, so that a socket is as small as a real one.
    static NETWORK: Rc<Network> = Rc::new(Network {
        now: Cell::new(Moment::START),
        backlog: Cell::new(0),
        events: RefCell::default(),
        tokens: RefCell::default(),
        pass: Cell::new(0),
        taken_bytes: Cell::new(0),
        open: Cell::new(0),
        is_quiet: Cell::new(false),
    });
}

struct Simulated(Rc<Network>);

/// A peer that sends one request per pass and takes everything. Its only state is the number of its
/// last request, which is as large as a descriptor.
struct Wire(u32);

impl System for Simulated {
    type Socket = Wire;

    fn read_clocks(&mut self) -> Reading {
        Reading { moment: self.0.now.get(), wall: SystemTime::UNIX_EPOCH, stall: None }
    }

    fn wait(&mut self, timeout: Option<Duration>, handle: impl FnMut(Event)) -> io::Result<()> {
        let mut events = self.0.events.borrow_mut();
        self.0.is_quiet.set(events.is_empty() && timeout != Some(Duration::ZERO));
        let rest = events.len().saturating_sub(EVENTS_MAX);
        events.drain(rest..).rev().for_each(handle);
        Ok(())
    }

    fn accept(&mut self, _listener: usize) -> io::Result<(Wire, PeerAddr)> {
        let backlog = self.0.backlog.get().checked_sub(1).ok_or(io::ErrorKind::WouldBlock)?;
        self.0.backlog.set(backlog);
        self.0.open.set(self.0.open.get() + 1);
        Ok((Wire(0), ([127, 0, 0, 1], 50_000).into()))
    }

    fn register(&mut self, _socket: &mut Wire, token: Token) -> io::Result<()> {
        self.0.tokens.borrow_mut().push(token);
        self.0.events.borrow_mut().push(readable(token));
        Ok(())
    }

    fn close_listeners(&mut self) {}
}

impl Socket for Wire {
    fn receive(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let pass = NETWORK.with(|network| network.pass.get());
        if self.0 >= pass {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        self.0 = pass;
        buf[..REQUEST.len()].copy_from_slice(REQUEST);
        Ok(REQUEST.len())
    }

    fn send(&mut self, bytes: &[u8]) -> io::Result<usize> {
        NETWORK.with(|network| {
            network.taken_bytes.set(network.taken_bytes.get() + bytes.len() as u64)
        });
        Ok(bytes.len())
    }

    fn shutdown_write(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn reset_on_close(&mut self) {}
}

impl Drop for Wire {
    fn drop(&mut self) {
        NETWORK.with(|network| network.open.set(network.open.get() - 1));
    }
}

fn readable(token: Token) -> Event {
    Event::Connection(token, Readiness { readable: true, writable: true, read_to_end: false })
}

/// The loop, and the network that the measurement drives.
struct Stage {
    event_loop: EventLoop<Simulated>,
    network: Rc<Network>,
    longest_round: Duration,
}

impl Stage {
    /// Creates a loop without connections. The memory of the simulation for `count` connections is
    /// allocated here.
    fn new(count: usize) -> Self {
        let network = NETWORK.with(Rc::clone);
        // The memory is written to, so that it is resident already.
        network.events.replace((0..count).map(|_| Event::Mail(Mail::Stop)).collect());
        network.events.borrow_mut().clear();
        network.tokens.replace(vec![Token::from_usize(usize::MAX); count]);
        network.tokens.borrow_mut().clear();
        let mut config = Config::default();
        config.settings.connections_max = count;
        config.settings.activity_lines_max = None;
        let text: Arc<dyn Protocol> = Arc::new(Text::new());
        let event_loop = EventLoop::new(Simulated(Rc::clone(&network)), [text], &config);
        Self { event_loop, network, longest_round: Duration::ZERO }
    }

    /// Lets the loop accept `count` connections, each of which sends one request.
    fn accept(&mut self, count: usize) -> io::Result<()> {
        let taken_before = self.network.taken_bytes.get();
        self.network.pass.set(1);
        self.network.backlog.set(count);
        self.network.events.borrow_mut().push(Event::Listener(0));
        self.settle()?;
        let taken = self.network.taken_bytes.get() - taken_before;
        assert_eq!(
            taken,
            (count * (BANNER.len() + 1 + REQUEST.len())) as u64,
            "a greeting or an answer is missing"
        );
        Ok(())
    }

    /// Advances the clock; the loop sees it in its next round.
    fn pass(&mut self, time: Duration) {
        self.network.now.set(self.network.now.get().after(time));
    }

    /// Runs rounds until the loop has twice nothing to do. Between the two it acts on deadlines
    /// that have passed.
    fn settle(&mut self) -> io::Result<()> {
        let mut quiet_rounds = 0;
        while quiet_rounds < 2 {
            let began = Instant::now();
            self.event_loop.round()?;
            self.longest_round = self.longest_round.max(began.elapsed());
            quiet_rounds = if self.network.is_quiet.get() { quiet_rounds + 1 } else { 0 };
        }
        Ok(())
    }

    /// Returns the nanoseconds per request, when `active` connections, spread over all, send one
    /// request per pass.
    fn serve(&mut self, active: usize) -> io::Result<f64> {
        let tokens = self.network.tokens.borrow();
        let mut picked: Vec<Event> =
            (0..active).map(|index| readable(tokens[index * tokens.len() / active])).collect();
        drop(tokens);
        shuffle(&mut picked);
        self.request(&picked)?;
        let (began, mut passes, taken_before) = (Instant::now(), 0, self.network.taken_bytes.get());
        while began.elapsed() < MEASURED {
            self.request(&picked)?;
            passes += 1;
        }
        let elapsed = began.elapsed();
        let taken = self.network.taken_bytes.get() - taken_before;
        assert_eq!(taken, (passes * active * REQUEST.len()) as u64, "an answer is missing");
        Ok(nanoseconds_each(elapsed, passes * active))
    }

    /// Sends one request on each connection of `picked`, and waits for the answers.
    fn request(&mut self, picked: &[Event]) -> io::Result<()> {
        self.network.pass.set(self.network.pass.get() + 1);
        self.network.events.borrow_mut().extend_from_slice(picked);
        self.settle()
    }

    /// Lets the loop act on the deadlines of all connections, and returns the nanoseconds for each.
    fn expire(&mut self, count: usize) -> io::Result<f64> {
        // The loop reads from each connection once more, and there is nothing to read.
        self.network.pass.set(0);
        let began = Instant::now();
        self.settle()?;
        Ok(nanoseconds_each(began.elapsed(), count))
    }
}

/// Puts `items` into an order without a pattern. It is the same in each run.
fn shuffle<T>(items: &mut [T]) {
    let mut random: u64 = 1;
    for index in (1..items.len()).rev() {
        random =
            random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        items.swap(index, (random >> 33) as usize % (index + 1));
    }
}

fn nanoseconds_each(time: Duration, count: usize) -> f64 {
    time.as_secs_f64() * 1e9 / count as f64
}

fn resident_bytes() -> Result<usize, Box<dyn Error>> {
    let rollup = fs::read_to_string("/proc/self/smaps_rollup")?;
    let line = rollup
        .lines()
        .find(|line| line.starts_with("Rss:"))
        .ok_or("the kernel reports no resident set")?;
    Ok(line.split_whitespace().nth(1).ok_or("a number of kB")?.parse::<usize>()? * 1024)
}

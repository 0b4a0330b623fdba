//! A million connections without a kernel: the whole loop on a simulated network that costs next to
//! nothing, so that what is measured is the server's own.
//!
//! ```text
//! cargo bench --bench million
//! ```
//!
//! For each number of connections, all are accepted and used once. Then some of them, spread over
//! all, send a request a pass, and at last every deadline falls due at once: first when the
//! connections have been used since, then when they have not. Each number has a process of its own,
//! so that its resident set is its own too. The million takes 200 MB. The resident set is told by
//! Linux only.

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
/// How many of them send; the last column has all of them do so, in an order that no cache
/// foresees.
const ACTIVE: [usize; 3] = [100, 1000, 10_000];
/// What the first connections make the server allocate once and for all is not counted.
const WARM_UP: usize = 100;
const REQUEST: &[u8] = b"ECHO Hello from client\n";
/// As many events as the real seam fetches at a time.
const EVENTS_MAX: usize = 1024;
/// How long each figure is measured at least.
const MEASURED: Duration = Duration::from_millis(300);

fn main() -> Result<(), Box<dyn Error>> {
    // `cargo bench` adds a flag of its own.
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

    // The deadlines that were entered on accept are due, but every connection has been used since;
    // then they are due for good; then nobody answers the end of output with one of their own.
    for time in [idle / 2, idle / 2, LINGER_TIMEOUT] {
        stage.pass(time);
        print!(" {:.0} |", stage.expire(WARM_UP + count)?);
    }
    assert_eq!(stage.network.open.get(), 0, "connections are left over");
    println!(" {} |", stage.longest_round.as_micros());
    Ok(())
}

/// What the loop and the measurement share.
struct Network {
    now: Cell<Moment>,
    /// Connections that wait to be accepted.
    backlog: Cell<usize>,
    /// Events that the next waits fetch, the next one last.
    events: RefCell<Vec<Event>>,
    tokens: RefCell<Vec<Token>>,
    /// Which request of its own a connection sends that is told to be readable; nobody sends
    /// request 0.
    pass: Cell<u32>,
    taken_bytes: Cell<u64>,
    open: Cell<usize>,
    /// True exactly when the last wait would have waited.
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

/// A peer that sends one request a pass and takes everything: the number of its last request, in
/// the place of a descriptor.
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

/// The loop, and the hands that move it.
struct Stage {
    event_loop: EventLoop<Simulated>,
    network: Rc<Network>,
    longest_round: Duration,
}

impl Stage {
    /// A loop without connections. What the simulation itself needs for `count` of them is
    /// allocated here.
    fn new(count: usize) -> Self {
        let network = NETWORK.with(Rc::clone);
        // Written to, so that it is resident already.
        network.events.replace((0..count).map(|_| Event::Mail(Mail::Stop)).collect());
        network.events.borrow_mut().clear();
        network.tokens.replace(vec![Token::from_usize(usize::MAX); count]);
        network.tokens.borrow_mut().clear();
        let mut config = Config::default();
        config.connections_max = count;
        config.activity_lines_max = None;
        let text: Arc<dyn Protocol> = Arc::new(Text::new());
        let event_loop = EventLoop::new(Simulated(Rc::clone(&network)), [text], &config);
        Self { event_loop, network, longest_round: Duration::ZERO }
    }

    /// Has `count` connections accepted and used once.
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

    /// Lets time pass; the loop does not see it before its next round.
    fn pass(&mut self, time: Duration) {
        self.network.now.set(self.network.now.get().after(time));
    }

    /// Runs rounds until the loop would wait, twice in a row: a deadline that has passed is acted
    /// on in between.
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

    /// The nanoseconds that a request takes while `active` connections, spread over all, send one a
    /// pass.
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

    /// Has everybody who was picked send one request, and waits for the answers.
    fn request(&mut self, picked: &[Event]) -> io::Result<()> {
        self.network.pass.set(self.network.pass.get() + 1);
        self.network.events.borrow_mut().extend_from_slice(picked);
        self.settle()
    }

    /// Looks at everybody whose deadline has passed, which is everybody: gives the nanoseconds for
    /// each.
    fn expire(&mut self, count: usize) -> io::Result<f64> {
        // Those that are looked at read once more: nobody has sent anything.
        self.network.pass.set(0);
        let began = Instant::now();
        self.settle()?;
        Ok(nanoseconds_each(began.elapsed(), count))
    }
}

/// Puts `items` into an order without a pattern, the same one in each run.
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
        .ok_or("the kernel tells the resident set")?;
    Ok(line.split_whitespace().nth(1).ok_or("a number of kB")?.parse::<usize>()? * 1024)
}

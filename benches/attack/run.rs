//! A run: honest clients alone, beside the attack, and alone again.

use std::error::Error;
use std::thread;
use std::time::{Duration, Instant};

use tinytcp_core::limits::LINGER_TIMEOUT;
use tinytcp_load::report::Report;

use super::choice::Choice;
use super::crowd::{Attack, Tally, all_kinds, connections_max};
use super::honest;
use super::journal::Journal;
use super::processors::Processors;
use super::server::{MEMORY_LIMIT, Server, TIMEOUTS};
use super::stalls;

const LOOK_AROUND: Duration = Duration::from_millis(50);

/// The greatest number of samples of a run.
const SAMPLES_MAX: u32 = 500;
const SAMPLE_INTERVAL_MIN: Duration = Duration::from_secs(1);

/// All attackers connect within this time, on a machine that may have other work to do.
const ARRIVAL: Duration = Duration::from_secs(60);

/// The server closes all connections within this time after their peers have closed.
const AFTERMATH: Duration = LINGER_TIMEOUT.saturating_add(Duration::from_secs(8));

/// The result of a run.
pub struct Outcome {
    /// Honest clients alone, beside the attack, and alone again.
    pub before: Part,
    pub beside: Part,
    pub after: Part,
    /// The state of the server while honest clients were beside the attack, in a soak.
    pub samples: Vec<Sample>,
    pub attackers: Vec<Tally>,
    /// The number of descriptors before the first connection and after the last one.
    pub descriptors: (usize, usize),
    /// Resident memory after the first honest clients, and at the end.
    pub resident_bytes: (usize, usize),
    pub resident_bytes_most: usize,
    pub journal: Journal,
    /// See [`stalls::share`].
    pub stalled_share: f64,
}

/// The result of a part of the run.
pub struct Part {
    /// The report of each crowd of honest clients.
    pub reports: Vec<Report>,
    /// The share of the processor's time that the server used.
    pub server_share: f64,
    /// The share of the time in which the server waited for a processor.
    pub starved_share: f64,
}

/// The state of the server at one moment.
#[derive(Clone, Copy)]
pub struct Sample {
    pub at: Duration,
    pub resident_bytes: usize,
    pub descriptors: usize,
    /// From the log, which is up to a second late.
    pub opened: u64,
    pub closed: u64,
    pub commands: u64,
}

/// Makes the run.
///
/// # Errors
/// When a program or a thread does not start, or the server ends early.
pub fn run(choice: Choice, processors: Processors) -> Result<Outcome, Box<dyn Error>> {
    let mut server = Server::start(processors, MEMORY_LIMIT, &TIMEOUTS)?;
    let descriptors_before = server.process.descriptors().len();
    eprintln!("honest clients alone, {:?}", choice.alone);
    let before = part(&mut server, choice, choice.alone, |_, _| {})?;
    wait_for_descriptors(&server, descriptors_before);
    let resident_before = server.process.resident_bytes();

    eprintln!("the machine, with nothing to do but to read the clock");
    let stalled_share = stalls::share(processors)?;

    eprintln!("the attack begins");
    let attack = Attack::start(all_kinds(), server.target, processors, !choice.is_quick)?;
    wait_for_attackers(&server, descriptors_before)?;
    thread::sleep(choice.settling);
    eprintln!("honest clients beside it, {:?}", choice.beside);
    let mut samples = Sampler::new(choice);
    // A look takes 1.5 ms of the generator's processor, so only a soak does it.
    let look = |server: &Server, at| {
        if choice.is_soak {
            samples.look(server, at)
        }
    };
    let beside = part(&mut server, choice, choice.beside, look)?;
    let attackers = attack.stop()?;

    eprintln!("honest clients alone again, {:?}", choice.alone);
    let after = part(&mut server, choice, choice.alone, |_, _| {})?;
    let descriptors_after = wait_for_descriptors(&server, descriptors_before);
    let resident_after = server.process.resident_bytes();
    let resident_bytes_most = server.resident_bytes_most()?;
    Ok(Outcome {
        before,
        beside,
        after,
        samples: samples.samples,
        attackers,
        descriptors: (descriptors_before, descriptors_after),
        resident_bytes: (resident_before, resident_after),
        resident_bytes_most,
        journal: server.stop()?,
        stalled_share,
    })
}

/// Runs honest clients for `duration`. Calls `look` now and then, with the time since they began.
fn part(
    server: &mut Server,
    choice: Choice,
    duration: Duration,
    mut look: impl FnMut(&Server, Duration),
) -> Result<Part, Box<dyn Error>> {
    let (began, used, starved) = (Instant::now(), server.processor_time(), server.starved()?);
    let mut reports = Vec::new();
    while began.elapsed() < duration {
        let mut honest = honest::start(server.target.text, choice.stay.min(duration))?;
        while !honest.is_over()? {
            if !server.is_running() {
                return Err("the server has ended".into());
            }
            look(server, began.elapsed());
            thread::sleep(LOOK_AROUND);
        }
        reports.push(honest.report()?);
    }
    let share = |time: Duration| time.as_secs_f64() / began.elapsed().as_secs_f64();
    let (server_share, starved_share) =
        (share(server.processor_time() - used), share(server.starved()? - starved));
    Ok(Part { reports, server_share, starved_share })
}

/// Waits until most attackers are connected. Some are always about to connect again.
fn wait_for_attackers(server: &Server, descriptors_before: usize) -> Result<(), Box<dyn Error>> {
    let deadline = Instant::now() + ARRIVAL;
    while server.process.descriptors().len() < descriptors_before + connections_max() / 2 {
        if Instant::now() > deadline {
            return Err(
                "the attackers do not connect: has their processor other work to do?".into()
            );
        }
        thread::sleep(LOOK_AROUND);
    }
    Ok(())
}

/// Waits until the server has at most `count` descriptors, and returns their number at the end.
pub fn wait_for_descriptors(server: &Server, count: usize) -> usize {
    let deadline = Instant::now() + AFTERMATH;
    loop {
        let open = server.process.descriptors().len();
        if open <= count || Instant::now() > deadline {
            return open;
        }
        thread::sleep(LOOK_AROUND);
    }
}

/// Takes samples at regular intervals.
struct Sampler {
    interval: Duration,
    samples: Vec<Sample>,
}

impl Sampler {
    fn new(choice: Choice) -> Self {
        Self {
            interval: (choice.beside / SAMPLES_MAX).max(SAMPLE_INTERVAL_MIN),
            samples: Vec::new(),
        }
    }

    fn look(&mut self, server: &Server, at: Duration) {
        let due = self.samples.last().map_or(Duration::ZERO, |last| last.at + self.interval);
        if at < due {
            return;
        }
        let (opened, closed, commands) = {
            let journal = server.journal();
            (journal.opened, journal.closed, journal.commands)
        };
        self.samples.push(Sample {
            at,
            resident_bytes: server.process.resident_bytes(),
            descriptors: server.process.descriptors().len(),
            opened,
            closed,
            commands,
        });
    }
}

//! The run itself: honest clients alone, beside the attack, and alone again.

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

/// How many samples are taken of a run at most, however long it is.
const SAMPLES_MAX: u32 = 500;
const SAMPLE_INTERVAL_MIN: Duration = Duration::from_secs(1);

/// How long the attackers may take to come, on a machine that has other work to do.
const ARRIVAL: Duration = Duration::from_secs(60);

/// How long connections may take to be closed when all their peers have left.
const AFTERMATH: Duration = LINGER_TIMEOUT.saturating_add(Duration::from_secs(8));

/// What came of a run.
pub struct Outcome {
    /// Honest clients alone, beside the attack, and alone again.
    pub before: Part,
    pub beside: Part,
    pub after: Part,
    /// While they were beside the attack, in a soak.
    pub samples: Vec<Sample>,
    pub attackers: Vec<Tally>,
    /// Before any connection, and when all were gone.
    pub descriptors: (usize, usize),
    /// When honest clients had been there and were gone, and at the end.
    pub resident_bytes: (usize, usize),
    pub resident_bytes_most: usize,
    pub journal: Journal,
    /// See [`stalls::share`].
    pub stalled_share: f64,
}

/// What a part of the run gave.
pub struct Part {
    /// Of each crowd of honest clients.
    pub reports: Vec<Report>,
    /// The share of a processor that the server used.
    pub server_share: f64,
    /// The share of the time in which it could have run and no processor was free.
    pub starved_share: f64,
}

/// The server at one moment.
#[derive(Clone, Copy)]
pub struct Sample {
    pub at: Duration,
    pub resident_bytes: usize,
    pub descriptors: usize,
    /// As its log tells it: a second late.
    pub opened: u64,
    pub closed: u64,
    pub commands: u64,
}

/// Makes the run.
///
/// # Errors
/// When it cannot be made, or the server did not live to its end.
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
    // To look takes the generator's processor a millisecond and a half.
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

/// Honest clients for so long; `look` is called now and then, with the time since they began.
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

/// Waits until most of the attackers are there; some are always about to come back.
fn wait_for_attackers(server: &Server, descriptors_before: usize) -> Result<(), Box<dyn Error>> {
    let deadline = Instant::now() + ARRIVAL;
    while server.process.descriptors().len() < descriptors_before + connections_max() / 2 {
        if Instant::now() > deadline {
            return Err(
                "the attackers do not get through: has their processor other work to do?".into()
            );
        }
        thread::sleep(LOOK_AROUND);
    }
    Ok(())
}

/// Waits until the server has no more descriptors than `count`; gives how many it has at last.
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

/// Takes samples in regular intervals.
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

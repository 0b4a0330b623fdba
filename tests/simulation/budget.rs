//! The budget of a run: which seeds, and for how long.

use std::env;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use tinytcp_cli::units;

use super::tally::Tally;

/// How many seeds are always run, from 0 on, even on a slow machine.
const FIXED: u64 = 300;

/// The seeds to run.
#[derive(Clone, Copy, Debug)]
pub enum Budget {
    /// One seed, with a trace.
    One(u64),
    /// The first seed and the number of seeds.
    Range(u64, u64),
    /// The fixed seeds, then fresh ones until the time is over.
    Time(Duration),
}

impl Budget {
    /// Returns the budget that the environment requests; by default the fixed seeds.
    pub fn from_environment() -> Self {
        if let Ok(seed) = env::var("TINYTCP_SEED") {
            Self::One(number(&seed))
        } else if let Ok(seeds) = env::var("TINYTCP_SEEDS") {
            match seeds.split_once("..") {
                Some((first, end)) => {
                    Self::Range(number(first), number(end).saturating_sub(number(first)))
                }
                None => Self::Range(fresh_seed(), number(&seeds)),
            }
        } else {
            let time = env::var("TINYTCP_SIM_TIME")
                .map(|time| units::duration(&time).expect("a time such as 10m"));
            Self::Time(time.unwrap_or(Duration::ZERO))
        }
    }

    /// Runs seeds on all processors, until one fails or the budget is spent.
    pub fn run(self, run: impl Fn(u64) -> Result<Tally, String> + Sync) -> Result<Tally, String> {
        let (began, base) = (Instant::now(), fresh_seed());
        let (taken, has_failed) = (AtomicU64::new(0), AtomicBool::new(false));
        let next = || {
            let index = taken.fetch_add(1, Ordering::Relaxed);
            let seed = match self {
                Self::One(seed) => (index < 1).then_some(seed),
                Self::Range(first, count) => (index < count).then_some(first.wrapping_add(index)),
                Self::Time(_) if index < FIXED => Some(index),
                Self::Time(time) => (began.elapsed() < time).then_some(base.wrapping_add(index)),
            };
            seed.filter(|_| !has_failed.load(Ordering::Relaxed))
        };
        let work = || {
            let mut tally = Tally::default();
            while let Some(seed) = next() {
                let world = run(seed).inspect_err(|_| has_failed.store(true, Ordering::Relaxed));
                tally = tally.add(world.map_err(|failure| {
                    format!(
                        "after {} seeds, seed {seed:#x}: {failure}",
                        taken.load(Ordering::Relaxed)
                    )
                })?);
            }
            Ok(tally)
        };
        thread::scope(|scope| {
            let threads = thread::available_parallelism().map_or(1, usize::from);
            let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
            let tallies = workers
                .into_iter()
                .map(|worker| worker.join().expect("a worker returns failures and does not panic"));
            tallies.reduce(|sum, tally| Ok(sum?.add(tally?))).unwrap_or(Ok(Tally::default()))
        })
    }
}

fn fresh_seed() -> u64 {
    RandomState::new().hash_one(0)
}

/// Parses a number in hexadecimal, as a failure prints it, or in decimal.
fn number(text: &str) -> u64 {
    let number = match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16),
        None => text.parse(),
    };
    number.unwrap_or_else(|error| panic!("\"{text}\" is not a number: {error}"))
}

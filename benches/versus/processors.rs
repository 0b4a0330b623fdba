//! The processors of the server and of the generator, so that the two do not take turns on one.

use std::fmt;
use std::fs;

use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;

/// The processors on which servers and generator run.
#[derive(Clone, Copy)]
pub struct Processors {
    /// The server's and the generator's; none if there is only one processor.
    pair: Option<(usize, usize)>,
    /// True exactly when the two are hardware threads of one core.
    is_one_core: bool,
}

impl Processors {
    /// Chooses two processors of different cores, if this process may use such processors.
    ///
    /// # Errors
    /// When the kernel does not report the processors of this process.
    pub fn choose() -> nix::Result<Self> {
        let allowed = sched_getaffinity(Pid::this())?;
        let mut usable = (0..CpuSet::count()).filter(|index| allowed.is_set(*index) == Ok(true));
        let Some(first) = usable.next() else { return Ok(Self { pair: None, is_one_core: false }) };
        let others: Vec<usize> = usable.collect();
        let second = others.iter().find(|index| core(**index) != core(first)).or(others.first());
        let pair = second.map(|second| (first, *second));
        let is_one_core = pair.is_some_and(|(first, second)| core(first) == core(second));
        Ok(Self { pair, is_one_core })
    }

    /// Moves this thread, and its later child threads and processes, to the processor of servers.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn be_server(self) -> nix::Result<()> {
        self.pair.map_or(Ok(()), |(server, _)| run_on(server))
    }

    /// Moves this thread, and its later child threads and processes, to the processor of the
    /// generator.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn be_generator(self) -> nix::Result<()> {
        self.pair.map_or(Ok(()), |(_, generator)| run_on(generator))
    }
}

fn run_on(processor: usize) -> nix::Result<()> {
    let mut only = CpuSet::new();
    only.set(processor)?;
    // Zero is the calling thread.
    sched_setaffinity(Pid::from_raw(0), &only)
}

/// Returns the processors that share a core with this one, itself included, as the kernel writes
/// them. The result is equal for processors of one core.
fn core(processor: usize) -> String {
    let file = format!("/sys/devices/system/cpu/cpu{processor}/topology/thread_siblings_list");
    fs::read_to_string(file).unwrap_or_else(|_| processor.to_string())
}

impl fmt::Display for Processors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let model = info.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
        let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        write!(
            f,
            "{}, Linux {}, ",
            model.map_or("an unnamed processor", |(_, name)| name),
            release.trim()
        )?;
        match (self.pair, self.is_one_core) {
            (Some((server, generator)), false) => {
                write!(
                    f,
                    "servers on processor {server} and the generator on processor {generator}"
                )
            }
            (Some((server, generator)), true) => {
                write!(
                    f,
                    "servers on processor {server} and the generator on {generator}, which share \
                     ONE CORE"
                )
            }
            (None, _) => {
                write!(f, "servers and generator NOT PINNED: there is only one processor for both")
            }
        }
    }
}

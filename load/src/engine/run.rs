//! One run: start the threads, combine their counts, and end in time whatever the server does.

use std::io;
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::SystemTime;

use super::collector::{Collector, Observer};
use super::interruption::Interruption;
use super::start_barrier::StartBarrier;
use super::worker::Worker;
use crate::error::LoadError;
use crate::measurement::outcome::RunOutcome;
use crate::traffic::plan::Plan;

/// Executes `plan` and returns its outcome. Takes at most the plan's duration plus its timeout, and
/// ends within milliseconds once interrupted.
///
/// # Errors
/// Fails if a thread or a poller cannot be created.
pub fn run(
    plan: Plan,
    interruption: &Interruption,
    observer: &mut impl Observer,
) -> Result<RunOutcome, LoadError> {
    let plan = Arc::new(plan);
    let started = SystemTime::now();
    let barrier = Arc::new(StartBarrier::new(plan.settings.threads));
    let (sender, receiver) = mpsc::channel();
    let mut threads = Vec::new();
    for index in 0..plan.settings.threads {
        let worker = Worker::new(index, Arc::clone(&plan), Arc::clone(&barrier), sender.clone())
            .map_err(system("watch sockets", "raise the open-file limit: `ulimit -n`"))?;
        let name = format!("generator {index}");
        let thread = thread::Builder::new().name(name).spawn(move || worker.run());
        threads.push(thread.map_err(system("start a thread", "use fewer --threads"))?);
    }
    drop(sender);
    let collected =
        Collector::new(&plan, &barrier, started).collect(&receiver, interruption, observer);
    for thread in threads {
        match thread.join() {
            Ok(result) => result.map_err(system("wait for events", "start the run again"))?,
            Err(_) => return Err(LoadError::ThreadFailed),
        }
    }
    Ok(collected.outcome(interruption.signal()))
}

/// Returns the function that makes the error of `action`.
fn system(action: &'static str, remedy: &'static str) -> impl FnOnce(io::Error) -> LoadError {
    move |error| LoadError::System { action, error, remedy }
}

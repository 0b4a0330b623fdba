//! The real server on a real kernel whose system calls fail, are cut short, and are interrupted.
//!
//! `preloaded` runs whole suites of other tests under a library that makes each call as short or
//! interrupted as the system allows. The other modules make single calls fail by `strace`:
//! `accepting`, `starting` and `stopping` the most important ones, and `matrix` each in turn.

#[path = "../support/mod.rs"]
mod support;

mod accepting;
mod matrix;
mod preloaded;
mod scenarios;
mod starting;
mod stopping;
mod tracer;

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Held by a test that keeps all processors busy, because two such tests at once would only slow
/// each other down.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

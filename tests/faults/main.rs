//! The real server on a real kernel whose system calls fail, are cut short, and are interrupted.
//!
//! `preloaded` runs whole suites of other tests under a library that makes every call behave as
//! badly as it may; the others make single calls fail by `strace`: `accepting`, `starting` and
//! `stopping` those that matter most, `matrix` each in turn.

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

/// Held by a test that keeps all processors busy: two of them at once would only wait for each
/// other.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

//! The barrier of a run's threads: they start and stop together.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Instant;

use tinytcp_core::os::moment::Moment;

/// The state that all threads of a run share.
#[derive(Debug)]
pub struct StartBarrier {
    epoch: Instant,
    /// Threads that have not tried all their connections.
    missing: AtomicUsize,
    /// Open connections of the threads that are ready.
    reached: AtomicUsize,
    /// Which threads are ready.
    ready: Vec<AtomicBool>,
    start: OnceLock<Moment>,
    is_hopeless: AtomicBool,
    is_stopped: AtomicBool,
    /// Index of the server address that last worked.
    address: AtomicUsize,
}

impl StartBarrier {
    /// Creates the barrier for `threads` threads, whose clock starts now.
    #[must_use]
    pub fn new(threads: usize) -> Self {
        Self {
            epoch: Instant::now(),
            missing: AtomicUsize::new(threads),
            reached: AtomicUsize::new(0),
            ready: (0..threads).map(|_| AtomicBool::new(false)).collect(),
            start: OnceLock::new(),
            is_hopeless: AtomicBool::new(false),
            is_stopped: AtomicBool::new(false),
            address: AtomicUsize::new(0),
        }
    }

    /// Returns the start of the clock.
    #[must_use]
    pub const fn epoch(&self) -> Instant {
        self.epoch
    }

    /// Returns the start of the load once all threads are ready. `is_ready` reports that this one
    /// is, with `reached` open connections.
    pub fn start(
        &self,
        thread: usize,
        is_ready: bool,
        reached: usize,
        now: Moment,
    ) -> Option<Moment> {
        if is_ready && !self.ready[thread].swap(true, Ordering::AcqRel) {
            self.reached.fetch_add(reached, Ordering::AcqRel);
            if self.missing.fetch_sub(1, Ordering::AcqRel) == 1 {
                self.start.get_or_init(|| now);
            }
        }
        self.started()
    }

    /// Returns the start of the load, if it has started.
    #[must_use]
    pub fn started(&self) -> Option<Moment> {
        self.start.get().copied()
    }

    /// Records that all connections have failed.
    pub fn mark_hopeless(&self) {
        self.is_hopeless.store(true, Ordering::Release);
    }

    /// Returns how many connections were open when their threads were ready.
    #[must_use]
    pub fn reached(&self) -> usize {
        self.reached.load(Ordering::Acquire)
    }

    /// Returns true if no connection can be opened.
    #[must_use]
    pub fn is_hopeless(&self) -> bool {
        self.is_hopeless.load(Ordering::Acquire)
    }

    /// Stops the run: no more requests, and no wait for replies.
    pub fn stop(&self) {
        self.is_stopped.store(true, Ordering::Release);
    }

    /// Returns true if the run was stopped.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.is_stopped.load(Ordering::Acquire)
    }

    /// Returns the index of the server address that last worked; 0 at first.
    #[must_use]
    pub fn address(&self) -> usize {
        self.address.load(Ordering::Relaxed)
    }

    /// Records the address that worked.
    pub fn prefer_address(&self, index: usize) {
        self.address.store(index, Ordering::Relaxed);
    }
}

//! Where the threads of a run meet: they start together, and they stop together.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Instant;

use tinytcp_core::os::moment::Moment;

/// What the threads of a run know of each other.
#[derive(Debug)]
pub struct Muster {
    epoch: Instant,
    /// Threads that have not tried to open all their connections.
    missing: AtomicUsize,
    /// Connections that were open when their thread was ready.
    reached: AtomicUsize,
    /// Which threads have said that they are ready.
    ready: Vec<AtomicBool>,
    start: OnceLock<Moment>,
    is_hopeless: AtomicBool,
    is_stopped: AtomicBool,
    /// Which of the server's addresses has worked.
    address: AtomicUsize,
}

impl Muster {
    /// For so many threads, whose clock starts now.
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

    /// The start of the clock.
    #[must_use]
    pub const fn epoch(&self) -> Instant {
        self.epoch
    }

    /// The start of the load, once all threads are ready; `is_ready` says that this one is, with
    /// `reached` open connections.
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

    /// When the load began, once it has.
    #[must_use]
    pub fn started(&self) -> Option<Moment> {
        self.start.get().copied()
    }

    /// Says that all connections have been tried, and none was opened.
    pub fn give_up(&self) {
        self.is_hopeless.store(true, Ordering::Release);
    }

    /// How many connections were open when their threads were ready.
    #[must_use]
    pub fn reached(&self) -> usize {
        self.reached.load(Ordering::Acquire)
    }

    /// True exactly when there is no use in going on.
    #[must_use]
    pub fn is_hopeless(&self) -> bool {
        self.is_hopeless.load(Ordering::Acquire)
    }

    /// Ends the run: nothing more is sent, and nothing waited for.
    pub fn stop(&self) {
        self.is_stopped.store(true, Ordering::Release);
    }

    /// True exactly when the run was ended.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.is_stopped.load(Ordering::Acquire)
    }

    /// Which of the server's addresses has worked, as an index; the first until one has.
    #[must_use]
    pub fn address(&self) -> usize {
        self.address.load(Ordering::Relaxed)
    }

    /// Remembers the address that has worked.
    pub fn prefer_address(&self, index: usize) {
        self.address.store(index, Ordering::Relaxed);
    }
}

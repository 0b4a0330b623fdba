//! The open files of the test process, which tests with many peers share.

use std::sync::{Condvar, Mutex, PoisonError};

/// The files that all tests with fewer peers have open at the same time.
const OTHERS: usize = 3000;

/// The limit that the tests ask for. The servers that they start inherit it.
const LIMIT: u64 = 20_000;

static TAKEN: Mutex<usize> = Mutex::new(0);
static RETURNED: Condvar = Condvar::new();

/// The share of a test in the open files; returned when dropped.
pub struct OpenFiles(usize);

impl OpenFiles {
    /// Waits until `count` of the open files are free.
    ///
    /// Panics if the process may not have as many.
    #[track_caller]
    pub fn take(count: usize) -> Self {
        let limit = rlimit::increase_nofile_limit(LIMIT).expect("the limit of open files") as usize;
        let needed = count + OTHERS;
        assert!(
            needed <= limit,
            "this test needs {needed} open files and may have {limit}: \
             raise the hard limit, as with `ulimit -Hn {LIMIT}`"
        );
        let taken = TAKEN.lock().unwrap_or_else(PoisonError::into_inner);
        let mut taken = RETURNED
            .wait_while(taken, |taken| *taken + needed > limit)
            .unwrap_or_else(PoisonError::into_inner);
        *taken += count;
        Self(count)
    }
}

impl Drop for OpenFiles {
    fn drop(&mut self) {
        *TAKEN.lock().unwrap_or_else(PoisonError::into_inner) -= self.0;
        RETURNED.notify_all();
    }
}

//! The lines that a child process writes, collected by a thread, so that its pipe never fills.

use std::io::{BufRead, BufReader, Read};
use std::mem;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

/// A growing list of lines, without their `\n`, as raw bytes.
#[derive(Clone, Default)]
pub struct Lines(Arc<Collected>);

#[derive(Default)]
struct Collected {
    lines: Mutex<Vec<Vec<u8>>>,
    /// True once there are no more lines.
    ended: AtomicBool,
}

impl Lines {
    /// Collects the lines of `source` until it ends.
    pub fn collect(source: impl Read + Send + 'static) -> Self {
        let lines = Self::default();
        let Self(collected) = lines.clone();
        thread::spawn(move || {
            let mut source = BufReader::new(source);
            let mut line = Vec::new();
            while matches!(source.read_until(b'\n', &mut line), Ok(1..)) {
                line.pop_if(|last| *last == b'\n');
                collected
                    .lines
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .push(mem::take(&mut line));
            }
            collected.ended.store(true, Ordering::Release);
        });
        lines
    }

    /// True once the source has ended and all its lines are here.
    pub fn have_ended(&self) -> bool {
        self.0.ended.load(Ordering::Acquire)
    }

    /// The lines so far, byte for byte.
    pub fn raw(&self) -> Vec<Vec<u8>> {
        self.0.lines.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The lines so far, as text.
    pub fn text(&self) -> Vec<String> {
        self.raw().iter().map(|line| String::from_utf8_lossy(line).into_owned()).collect()
    }

    /// The first line so far that holds every one of `parts`.
    pub fn find(&self, parts: &[&str]) -> Option<String> {
        self.text().into_iter().find(|line| parts.iter().all(|part| line.contains(part)))
    }
}

//! What a run shows while it runs.

use std::time::Duration;

use super::outcome::{Asked, Slice};

/// The progress of a run, on stderr: a line that changes on a terminal, otherwise one a second.
#[derive(Debug)]
pub struct Progress {}

impl Progress {
    /// The progress of what was asked for; `is_terminal` says what stderr is.
    #[must_use]
    pub fn new(_asked: &Asked, _is_terminal: bool) -> Self {
        Self {}
    }

    /// So many connections of those asked for are open.
    pub fn opening(&mut self, _opened: usize, _asked: usize) {}

    /// A slice is over, `elapsed` after the start of the run.
    pub fn slice(&mut self, _slice: &Slice, _elapsed: Duration) {}

    /// The run is over: nothing of the progress stays on a terminal.
    pub fn finish(&mut self) {}
}

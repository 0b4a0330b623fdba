//! Commands: what the tables of `text` and `binary` hold.

use std::fmt;

use super::{Next, Output};
use crate::os::clock::Clock;

/// One call of a command.
#[derive(Debug)]
pub struct Call<'a, 'b> {
    /// What the peer sent with the command, byte for byte.
    pub argument: &'a [u8],
    /// Where the answer goes, without line end or header: the protocol adds those. An answer that is much longer than its
    /// argument asks [`Output::reserve`] for room first; one that passes the memory limit costs its peer the connection.
    pub output: &'a mut Output<'b>,
    /// The time.
    pub clock: &'a mut Clock,
    /// The usages of all commands in the table of `text`, separated by ` | `; empty in `binary`.
    pub usages: &'a str,
}

/// What came of a call: an answer and whether the conversation goes on, or the upper-case token of an error, which
/// replaces whatever had been answered.
pub type Outcome = Result<Next, &'static str>;

/// A command's function.
pub type Run = dyn Fn(&mut Call<'_, '_>) -> Outcome + Send + Sync;

/// A command under a key: a word in `text`, a code in `binary`.
pub struct Command<K> {
    /// What it is called by.
    pub key: K,
    /// How `HELP` shows it, in `text`, and the activity log, in `binary`.
    pub usage: &'static str,
    /// What it does.
    pub run: Box<Run>,
}

impl<K> Command<K> {
    /// A command.
    pub fn new(
        key: K,
        usage: &'static str,
        run: impl Fn(&mut Call<'_, '_>) -> Outcome + Send + Sync + 'static,
    ) -> Self {
        Self { key, usage, run: Box::new(run) }
    }
}

impl<K: fmt::Debug> fmt::Debug for Command<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Command").field("key", &self.key).field("usage", &self.usage).finish_non_exhaustive()
    }
}

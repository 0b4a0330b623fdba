//! Commands: what the tables of `text` and `binary` hold.

use std::fmt;

use super::{Context, Next, Output};

/// One call of a command.
#[derive(Debug)]
pub struct Call<'a, 'b> {
    argument: &'a [u8],
    context: &'a mut Context<'b>,
    usages: &'a str,
}

impl<'a, 'b> Call<'a, 'b> {
    pub(super) const fn new(
        argument: &'a [u8],
        context: &'a mut Context<'b>,
        usages: &'a str,
    ) -> Self {
        Self { argument, context, usages }
    }

    /// What the peer sent with the command, byte for byte.
    #[must_use]
    pub const fn argument(&self) -> &'a [u8] {
        self.argument
    }

    /// Where the answer goes, without line end or header: the protocol adds those. An answer that
    /// is much longer than its argument asks [`Output::reserve`] for room first; one that
    /// passes the memory limit costs its peer the connection.
    #[inline]
    pub const fn output(&mut self) -> &mut Output<'b> {
        self.context.output()
    }

    /// The time, the connection, and the server around it. The protocol counts the message: a
    /// command does not.
    pub const fn context(&mut self) -> &mut Context<'b> {
        self.context
    }

    /// The usages of all commands in the table of `text`, separated by ` | `; empty in `binary`.
    #[must_use]
    pub const fn usages(&self) -> &'a str {
        self.usages
    }
}

/// What came of a call: an answer and whether the conversation goes on, or the upper-case token of
/// an error, which replaces whatever had been answered.
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
        f.debug_struct("Command")
            .field("key", &self.key)
            .field("usage", &self.usage)
            .finish_non_exhaustive()
    }
}

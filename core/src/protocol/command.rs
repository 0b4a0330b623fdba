//! Commands: the entries of the tables of `text` and `binary`.

use std::fmt;

use super::{Context, Next, Output, errors};
use crate::metrics::line;

/// One call of a command: its argument and its context.
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

    /// The bytes that the peer sent after the command.
    #[must_use]
    pub const fn argument(&self) -> &'a [u8] {
        self.argument
    }

    /// The output, to which the command appends its answer without line ending or header: the
    /// protocol adds those. Before a long answer, a command must call [`Output::reserve`]: see
    /// [`Session`](super::Session).
    #[inline]
    pub const fn output(&mut self) -> &mut Output<'b> {
        self.context.output()
    }

    /// The context: the time, the connection, the state of the server. The protocol counts the
    /// message, so a command must not.
    pub const fn context(&mut self) -> &mut Context<'b> {
        self.context
    }

    /// The usages of all commands of `text`, separated by ` | `; empty in `binary`.
    #[must_use]
    pub const fn usages(&self) -> &'a str {
        self.usages
    }
}

/// The result of a call: whether the conversation goes on, or the upper-case token of an error,
/// which replaces the bytes that the command has appended.
pub type Outcome = Result<Next, &'static str>;

/// The function of a command.
pub(super) type Run = dyn Fn(&mut Call<'_, '_>) -> Outcome + Send + Sync;

/// A command. Its key is a word in `text` and a code in `binary`.
pub struct Command<K> {
    /// The key by which a message selects it.
    pub key: K,
    /// Its usage, as `HELP` shows it in `text` and the activity log in `binary`. `HELP` does not
    /// show an empty one.
    pub usage: &'static str,
    /// Its function.
    pub(super) run: Box<Run>,
    /// True if it exists only for clients whose certificate names them.
    pub(super) needs_client_name: bool,
}

impl<K> Command<K> {
    /// Creates a command.
    pub fn new(
        key: K,
        usage: &'static str,
        run: impl Fn(&mut Call<'_, '_>) -> Outcome + Send + Sync + 'static,
    ) -> Self {
        Self { key, usage, run: Box::new(run), needs_client_name: false }
    }

    /// Returns the same command for clients with a certificate. It is unknown to all others.
    pub(super) fn for_named_clients(self) -> Self {
        Self { needs_client_name: true, ..self }
    }

    /// True if the client of `context` may use it.
    #[inline]
    pub(super) fn is_for(&self, context: &Context<'_>) -> bool {
        !self.needs_client_name || context.client_name().is_some()
    }
}

/// The command `STATUS` of `text` and `binary`: the state of the server in one line, without an
/// ending. Messages that arrived together with the request may not be counted yet.
pub(super) fn status(call: &mut Call<'_, '_>) -> Outcome {
    if !call.output().reserve(line::LEN_MAX) {
        return Err(errors::SERVER_BUSY);
    }
    let status = call.context().status();
    // Writing to an output never fails.
    let _ = line::write(status, call.output());
    Ok(Next::Continue)
}

/// The command `WHOAMI` of `text` and `binary`: the subject of the client's certificate. It is one
/// line, because its control characters are escaped.
pub(super) fn whoami(call: &mut Call<'_, '_>) -> Outcome {
    let name = call.context().client_name().unwrap_or_default();
    if !call.output().reserve(name.len() + Output::OVERHEAD_BYTES) {
        return Err(errors::SERVER_BUSY);
    }
    call.output().append(name.as_bytes());
    Ok(Next::Continue)
}

impl<K: fmt::Debug> fmt::Debug for Command<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Command")
            .field("key", &self.key)
            .field("usage", &self.usage)
            .finish_non_exhaustive()
    }
}

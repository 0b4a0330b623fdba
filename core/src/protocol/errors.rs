//! The upper-case tokens of errors: a command returns one, and
//! [`Output::append_error`](super::Output::append_error) appends one to the answers.

/// The error for a message for which there is no memory, and for a connection over the limit.
pub const SERVER_BUSY: &str = "SERVER_BUSY";
/// The error for a command without its argument.
pub const BAD_ARGUMENTS: &str = "BAD_ARGUMENTS";
/// The error for an HTTP request line.
pub(crate) const NOT_HTTP: &str = "NOT_HTTP";
/// The error for a line over the limit.
pub const LINE_TOO_LONG: &str = "LINE_TOO_LONG";
/// The error for a command that is not in the table.
pub(crate) const UNKNOWN_COMMAND: &str = "UNKNOWN_COMMAND";

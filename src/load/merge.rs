//! Reports of several machines as one.

use super::report::Report;

/// Joins reports.
///
/// # Errors
/// One line when they cannot be joined.
pub fn merge(reports: Vec<Report>) -> Result<Report, String> {
    reports.into_iter().next().ok_or_else(|| "nothing to join; name two files or more".into())
}

//! The report as a file for programs. `docs/load-report.md` describes it, key by key.

use std::fs;
use std::path::Path;

use serde_json::Value;

use super::{Report, SCHEMA, cannot};

/// Above this, a number in JSON need not be the one that was written (RFC 8259, section 6); and what is below can be added up without fear.
const EXACT_MAX: u64 = 1 << 53;

pub(super) fn text(report: &Report) -> String {
    // Every key is text, and every part has a form in JSON: the error is one that cannot occur.
    serde_json::to_string_pretty(report).unwrap_or_default() + "\n"
}

/// Reads a report that `--json` has written.
///
/// # Errors
/// One line: the file cannot be read, is no report, is of another schema, or is broken.
pub fn read(path: &Path) -> Result<Report, String> {
    let bytes = fs::read(path).map_err(|error| cannot("read", path, &error))?;
    parse(&bytes).map_err(|error| format!("{}: {error}", path.display()))
}

fn parse(bytes: &[u8]) -> Result<Report, String> {
    const REPORT: &str = "merge takes files that --json has written";
    let value: Value = serde_json::from_slice(bytes).map_err(|error| format!("not JSON ({error}); {REPORT}"))?;
    match value.get("schema").and_then(Value::as_str) {
        Some(SCHEMA) => {}
        Some(other) => return Err(format!("its schema is `{other}`, and this version reads `{SCHEMA}` only")),
        None => return Err(format!("no report of a load run; {REPORT}")),
    }
    if !counts_are_exact(&value) {
        return Err(format!("broken: a number is above 2^53; {REPORT}"));
    }
    serde_json::from_value(value).map_err(|error| format!("broken: {error}; {REPORT}"))
}

fn counts_are_exact(value: &Value) -> bool {
    match value {
        Value::Number(number) => number.as_f64().is_some_and(|number| number.abs() <= EXACT_MAX as f64),
        Value::Array(values) => values.iter().all(counts_are_exact),
        Value::Object(members) => members.values().all(counts_are_exact),
        _ => true,
    }
}

//! `--check`: what a start with these settings would do. The output is itself a configuration
//! file.

use std::fmt::Write;

use tinytcp_core::server::{Listener, refuse_clashes};

use crate::program_error::ProgramError;
use crate::settings::{Setting, Settings, Value};
use crate::tls::Encryption;

/// Returns one line for each setting, with its origin, one for each address of a listener, and one
/// for each certificate and each warning about it.
///
/// # Errors
/// When two listeners have the same address.
pub fn report(
    settings: &Settings,
    listeners: &[Listener],
    encryption: &Encryption,
) -> Result<String, ProgramError> {
    refuse_clashes(listeners).map_err(ProgramError::failure)?;
    let settings = settings.list();
    let width = settings.iter().map(|setting| shown(setting).len()).max().unwrap_or(0).min(48);
    let mut report = String::new();
    for setting in &settings {
        // Writing to a string never fails.
        let _ = writeln!(report, "{:width$}  # {}", shown(setting), setting.origin);
    }
    for listener in listeners {
        for endpoint in listener.endpoints.iter().cloned() {
            let _ = writeln!(report, "# listens on {}", listener.bound(endpoint));
        }
    }
    for line in encryption.report() {
        let _ = writeln!(report, "# {line}");
    }
    Ok(report)
}

/// A setting as a line of a configuration file. One without a value is a comment.
fn shown(Setting { name, value, .. }: &Setting) -> String {
    let comment = if matches!(value, Value::Unset(_)) { "# " } else { "" };
    format!("{comment}{name} = {value}")
}

//! Cargo as a child process of a test.

use std::env;
use std::process::Command;

/// Removes the variables about the tested package, which `cargo test` has set, from the environment
/// of a `command` that runs cargo. The build script of `ring` depends on some of them: with other
/// values than in a shell, `ring` and all that depends on it would be rebuilt.
pub fn forget_this_package(command: &mut Command) {
    for (name, _) in env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") {
            command.env_remove(name);
        }
    }
}

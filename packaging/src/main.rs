//! Writes the manual pages and the completions of the three programs into `packaging/`: `cargo run
//! -p tinytcp-packaging`. They are in the repository, so that a package is made without a program
//! for them. A test compares them with the command lines.

#[path = "../../src/bin/tinytcp-server/arguments.rs"]
#[allow(dead_code, missing_docs, unused, reason = "the server uses the other items")]
mod arguments;
#[path = "../../src/bin/tinytcp-server/listen_address.rs"]
#[allow(dead_code, missing_docs, unused, reason = "the server uses the other items")]
mod listen_address;
mod manual;
#[path = "../../src/bin/tinytcp-server/room_arguments.rs"]
#[allow(dead_code, reason = "only its flags are needed here")]
mod room_arguments;
#[allow(dead_code, reason = "the server uses the other items")]
mod tls;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use arguments::Arguments;
use clap::{Command, CommandFactory};
use clap_complete::Shell;
use manual::Page;

/// The shells with completions.
const SHELLS: [Shell; 3] = [Shell::Bash, Shell::Fish, Shell::Zsh];

fn main() -> ExitCode {
    for (path, content) in files() {
        if let Err(error) = write(&path, &content) {
            eprintln!("cannot write {}: {error}; check the permissions", path.display());
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

fn write(path: &Path, content: &[u8]) -> io::Result<()> {
    path.parent().map_or(Ok(()), fs::create_dir_all)?;
    fs::write(path, content)
}

/// The generated files: their paths, and their content.
fn files() -> Vec<(PathBuf, Vec<u8>)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    for (mut command, page) in programs() {
        let name = command.get_name().to_owned();
        files.push((root.join(format!("man/{name}.1")), manual::render(&command, &page)));
        for shell in SHELLS {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut command, &name, &mut script);
            let folder = root.join("completions").join(shell.to_string());
            files.push((folder.join(file_name(shell, &name)), script));
        }
    }
    files
}

/// The name under which a shell looks for the completions of `program`.
fn file_name(shell: Shell, program: &str) -> String {
    match shell {
        Shell::Zsh => format!("_{program}"),
        Shell::Fish => format!("{program}.fish"),
        _ => program.to_owned(),
    }
}

/// The command line of each program, and the other contents of its page.
fn programs() -> [(Command, Page); 3] {
    [
        (Arguments::command(), manual::SERVER),
        (tinytcp_client::command(), manual::CLIENT),
        (tinytcp_load::command(), manual::LOAD),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pages_and_completions_are_those_of_the_command_lines() {
        for (path, content) in files() {
            let kept = fs::read(&path).unwrap_or_default();
            assert!(
                kept == content,
                "{} is out of date: run `cargo run -p tinytcp-packaging`",
                path.display()
            );
        }
    }

    #[test]
    fn every_page_shows_its_examples_and_exit_codes() {
        for (command, page) in programs() {
            let text = String::from_utf8(manual::render(&command, &page)).expect("UTF-8");
            for heading in
                [".SH EXAMPLES", ".SH OPTIONS", ".SH \"EXIT STATUS\"", ".SH \"SEE ALSO\""]
            {
                assert!(text.contains(heading), "{}: {heading}", command.get_name());
            }
        }
    }
}

//! Runs of the client that always end.

use std::io::Write;
use std::ops::Deref;
use std::process::{Child, Command, Stdio};
use std::thread;

use crate::support::program::{self, Ended};
use crate::support::server::without_settings;

/// The client, without the settings in the environment of this test.
pub fn client(arguments: &[&str]) -> Command {
    let mut command = without_settings(Command::new(env!("CARGO_BIN_EXE_tinytcp-client")));
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// The end of a run of the client.
#[derive(Debug)]
pub struct Run(Ended);

impl Deref for Run {
    type Target = Ended;

    fn deref(&self) -> &Ended {
        &self.0
    }
}

impl Run {
    /// Checks that the run has ended with `code`. With any code but 0 and 1, stderr has one line
    /// with the reason.
    #[track_caller]
    pub fn ended_with(&self, code: i32) -> &Ended {
        assert_eq!(self.code, Some(code), "{self:?}");
        match code {
            0 | 1 => assert_eq!(self.stderr, "", "{self:?}"),
            _ => drop(self.complaining_in_one_line("tinytcp-client")),
        }
        self
    }
}

/// Runs the client to its end.
#[track_caller]
pub fn run(arguments: &[&str]) -> Run {
    finish(client(arguments))
}

/// Runs the client to its end with `script` on stdin.
#[track_caller]
pub fn run_script(arguments: &[&str], script: &[u8]) -> Run {
    let mut command = client(arguments);
    command.stdin(Stdio::piped());
    let mut child = command.spawn().expect("the client starts");
    let mut stdin = child.stdin.take().expect("piped");
    let script = script.to_vec();
    // A client that ends early closes the pipe, which is no failure here.
    thread::spawn(move || stdin.write_all(&script));
    finish_child(child)
}

/// Runs a command to its end.
#[track_caller]
pub fn finish(command: Command) -> Run {
    Run(program::finish(command))
}

/// Waits for the end of a child, within the deadline.
#[track_caller]
pub fn finish_child(child: Child) -> Run {
    Run(program::finish_child(child))
}

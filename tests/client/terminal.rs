//! A terminal for the client, which `script` from util-linux provides.

use std::io::{Read, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc;
use std::thread;

use crate::support::program::{DEADLINE, wait};

/// The directory of the client's history on such a terminal.
pub const STATE_HOME: &str = env!("CARGO_TARGET_TMPDIR");

/// The client on a terminal.
pub struct Terminal {
    child: Child,
    pub keys: ChildStdin,
    pieces: mpsc::Receiver<Vec<u8>>,
    /// The output since the last text that was waited for.
    shown: String,
}

impl Terminal {
    pub fn start(url: &str) -> Self {
        // A shell that waits for the client would get its Ctrl-C too, and end with another code.
        Self::start_command(&format!("exec {} {url}", env!("CARGO_BIN_EXE_tinytcp-client")))
    }

    pub fn start_command(command: &str) -> Self {
        let mut child = Command::new("script")
            .args(["-qefc", command, "/dev/null"])
            .env("TERM", "xterm")
            .env("SHELL", "/bin/sh")
            .env("XDG_STATE_HOME", STATE_HOME)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("`script` is there");
        let keys = child.stdin.take().expect("piped");
        let mut stdout = child.stdout.take().expect("piped");
        let (sender, pieces) = mpsc::channel();
        thread::spawn(move || {
            let mut piece = [0; 4096];
            while let Ok(len @ 1..) = stdout.read(&mut piece) {
                let _ = sender.send(piece[..len].to_vec());
            }
        });
        Self { child, keys, pieces, shown: String::new() }
    }

    pub fn type_keys(&mut self, keys: &str) {
        self.keys
            .write_all(keys.as_bytes())
            .and_then(|()| self.keys.flush())
            .expect("the terminal is open");
    }

    #[track_caller]
    pub fn wait_for(&mut self, text: &str) {
        self.read_up_to(text);
    }

    /// Waits for `text` and returns the output before it.
    #[track_caller]
    pub fn read_up_to(&mut self, text: &str) -> String {
        loop {
            if let Some(at) = self.shown.find(text) {
                let mut before: String = self.shown.drain(..at + text.len()).collect();
                before.truncate(at);
                return before;
            }
            match self.pieces.recv_timeout(DEADLINE) {
                Ok(piece) => self.shown.push_str(&String::from_utf8_lossy(&piece)),
                Err(_) => panic!("{text:?} is missing: {:?}", self.shown),
            }
        }
    }

    /// Returns all output until the program ends.
    #[track_caller]
    pub fn read_to_end(&mut self) -> String {
        loop {
            match self.pieces.recv_timeout(DEADLINE) {
                Ok(piece) => self.shown.push_str(&String::from_utf8_lossy(&piece)),
                Err(mpsc::RecvTimeoutError::Disconnected) => {
                    return std::mem::take(&mut self.shown);
                }
                Err(mpsc::RecvTimeoutError::Timeout) => {
                    panic!("the program hangs: {:?}", self.shown)
                }
            }
        }
    }

    pub fn finish(mut self) -> Option<i32> {
        wait(&mut self.child).code()
    }
}

//! Another program that talks to the server: netcat and similar ones, or a client of the original
//! systems.

use super::certificates::Files;
use super::peer::shown;
use super::wait::{wait_for, wait_until};
use std::fs;
use std::io::{Read, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

/// A running program, whose input the test writes; killed when dropped.
pub struct Tool {
    child: Child,
    input: Option<ChildStdin>,
    output: Arc<Mutex<Vec<u8>>>,
    reader: Option<JoinHandle<()>>,
}

impl Tool {
    /// Starts `program`.
    pub fn start(program: &str, args: &[&str]) -> Self {
        let mut command = Command::new(program);
        command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{program}: {error}"));
        let output = Arc::new(Mutex::new(Vec::new()));
        let (mut source, collected) =
            (child.stdout.take().expect("stdout is piped"), Arc::clone(&output));
        let reader = thread::spawn(move || {
            let mut block = [0; 4096];
            while let Ok(len @ 1..) = source.read(&mut block) {
                collected
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .extend_from_slice(&block[..len]);
            }
        });
        Self { input: child.stdin.take(), child, output, reader: Some(reader) }
    }

    /// Writes `bytes` to the program's input.
    #[track_caller]
    pub fn say(&mut self, bytes: impl AsRef<[u8]>) {
        let input = self.input.as_mut().expect("the input has not ended");
        input.write_all(bytes.as_ref()).and_then(|()| input.flush()).expect("type");
    }

    /// Ends the program's input.
    pub fn end_input(&mut self) {
        self.input = None;
    }

    /// Returns all that it has printed so far.
    pub fn printed(&self) -> Vec<u8> {
        self.output.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until its output contains `bytes`.
    #[track_caller]
    pub fn wait_for(&self, bytes: impl AsRef<[u8]>) {
        let bytes = bytes.as_ref();
        let what = format!("{} among {}", shown(bytes), shown(&self.printed()));
        wait_until(&what, || self.printed().windows(bytes.len()).any(|window| window == bytes));
    }

    /// Waits for the end of the program, and returns all that it has printed.
    #[track_caller]
    pub fn finish(mut self) -> Vec<u8> {
        wait_for("the program ends", || self.child.try_wait().expect("ask for the child's state"));
        self.reader
            .take()
            .expect("not finished before")
            .join()
            .expect("the output is read to its end");
        self.printed()
    }
}

impl Drop for Tool {
    fn drop(&mut self) {
        // Both fail only if the process has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Starts socat as a TLS server that echoes, with the certificate of `files` and only this version.
/// Returns its address too. `number` distinguishes the servers of a test.
pub fn start_socat(files: &Files, version: &str, number: usize) -> (Tool, String) {
    let log = format!("socat-{number}.log");
    let [certificate, key, path] = ["cert.pem", "key.pem", &log].map(|name| files.argument(name));
    let options = "bind=127.0.0.1,fork,verify=0";
    let versions =
        format!("openssl-min-proto-version={version},openssl-max-proto-version={version}");
    let listen = format!("OPENSSL-LISTEN:0,{options},{versions},cert={certificate},key={key}");
    let server = Tool::start("socat", &["-d", "-d", "-lf", &path, &listen, "PIPE"]);
    let address = wait_for("socat says where it listens", || {
        let log = fs::read_to_string(&path).ok()?;
        let (_, rest) = log.split_once("listening on ")?;
        let (_, port) = rest.split_once('\n')?.0.rsplit_once(':')?;
        Some(format!("localhost:{port}"))
    });
    (server, address)
}

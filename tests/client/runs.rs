//! Servers made of one function, and runs of the client that always end.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

/// No run takes so long unless it hangs.
pub const DEADLINE: Duration = Duration::from_secs(30);

/// Serves every connection with `behaviour` in a thread of its own; gives the port.
pub fn serve(behaviour: impl Fn(TcpStream) + Send + Sync + 'static) -> u16 {
    serve_on(TcpListener::bind("127.0.0.1:0").expect("a free port"), behaviour)
}

/// As [`serve`], on a listener that is there already.
pub fn serve_on(listener: TcpListener, behaviour: impl Fn(TcpStream) + Send + Sync + 'static) -> u16 {
    let port = listener.local_addr().expect("bound").port();
    let behaviour = Arc::new(behaviour);
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let behaviour = Arc::clone(&behaviour);
            thread::spawn(move || behaviour(stream));
        }
    });
    port
}

/// Serves every connection with `answer` to its first bytes, and keeps it open until the client has gone.
pub fn serve_once_asked(answer: &'static [u8]) -> u16 {
    serve(move |mut stream| {
        let _ = stream.read(&mut [0; 1024]);
        let _ = stream.write_all(answer);
        hold(stream);
    })
}

/// Keeps the connection open and silent until the client has gone.
pub fn hold(mut stream: TcpStream) {
    while stream.read(&mut [0; 64 << 10]).is_ok_and(|len| len > 0) {}
}

/// A port on which nobody listens.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a free port").port()
}

/// The client, which knows nothing of the environment of this test.
pub fn client(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tinytcp-client"));
    for variable in ["PROTOCOL", "EXECUTE", "TIMEOUT", "WAIT", "MAX_LINE", "MAX_FRAME"] {
        command.env_remove(format!("TINYTCP_{variable}"));
    }
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// How a run of the client ended.
#[derive(Debug)]
pub struct Run {
    pub code: Option<i32>,
    pub stdout: Vec<u8>,
    pub stderr: String,
    pub elapsed: Duration,
}

impl Run {
    /// What was printed, which is text.
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.stdout).expect("text")
    }

    /// The run must have ended with `code`; any other code than 0 and 1 tells why in one line on stderr.
    #[track_caller]
    pub fn ended_with(&self, code: i32) -> &Self {
        assert_eq!(self.code, Some(code), "{self:?}");
        match code {
            0 | 1 => assert_eq!(self.stderr, "", "{self:?}"),
            _ => {
                assert!(self.stderr.starts_with("tinytcp-client: "), "{self:?}");
                assert_eq!(self.stderr.matches('\n').count(), 1, "one line: {self:?}");
                assert!(self.stderr.ends_with('\n'), "{self:?}");
            }
        }
        self
    }

    /// The one line on stderr must contain `part`.
    #[track_caller]
    pub fn saying(&self, part: &str) -> &Self {
        assert!(self.stderr.contains(part), "{part:?} is missing: {self:?}");
        self
    }

    /// Exactly this must have been printed.
    #[track_caller]
    pub fn printing(&self, stdout: &str) -> &Self {
        assert_eq!(self.text(), stdout, "{self:?}");
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
pub fn finish(mut command: Command) -> Run {
    finish_child(command.spawn().expect("the client starts"))
}

/// Waits for the end of a child, within the deadline.
#[track_caller]
pub fn finish_child(mut child: Child) -> Run {
    let start = Instant::now();
    let stdout = collect(child.stdout.take());
    let stderr = collect(child.stderr.take());
    let status = wait(&mut child);
    let elapsed = start.elapsed();
    let stdout = stdout.join().expect("no panic");
    let stderr = String::from_utf8(stderr.join().expect("no panic")).expect("text");
    Run { code: status.code(), stdout, stderr, elapsed }
}

/// Waits for a child; one that hangs is killed and fails the test.
#[track_caller]
pub fn wait(child: &mut Child) -> ExitStatus {
    let deadline = Instant::now() + DEADLINE;
    loop {
        if let Some(status) = child.try_wait().expect("a child") {
            return status;
        }
        if Instant::now() > deadline {
            let _ = child.kill();
            panic!("the client hangs");
        }
        thread::sleep(Duration::from_millis(2));
    }
}

fn collect(pipe: Option<impl Read + Send + 'static>) -> thread::JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut pipe) = pipe {
            let _ = pipe.read_to_end(&mut bytes);
        }
        bytes
    })
}

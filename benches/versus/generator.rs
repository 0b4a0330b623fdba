//! The load generator: it is started with a load, and its report is read.

use std::error::Error;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use std::{env, fmt, fs, process, thread};

use tinytcp_load::measurement::causes::ReplyError;
use tinytcp_load::measurement::latency::microseconds;
use tinytcp_load::report::{self, Report};

use super::contenders::Contender;
use super::encryption::Certificate;
use super::protocol::Protocol;

/// The time that the generator may need in addition to its load, to connect and to close on a busy
/// machine: once, and per connection.
const PATIENCE: Duration = Duration::from_secs(60);
const PATIENCE_PER_CONNECTION: Duration = Duration::from_millis(20);

/// The requests to a server.
#[derive(Clone, Copy)]
pub struct Load {
    pub connections: usize,
    pub depth: usize,
    /// The length of the text in each request.
    pub text_len: usize,
    /// True exactly when the requests are those of [`MIX`] in turn.
    pub is_mix: bool,
    /// True exactly when each connection is closed after one request, and another one opened.
    pub is_churn: bool,
    /// True exactly when each connection resumes the TLS session of an earlier one.
    pub is_resumed: bool,
    /// True exactly when all other threads run first.
    pub is_background: bool,
}

impl Load {
    /// Returns the time that the generator may need in addition to its load.
    fn patience(self) -> Duration {
        PATIENCE + PATIENCE_PER_CONNECTION * u32::try_from(self.connections).unwrap_or(u32::MAX)
    }
}

/// A line of each kind that the table of `text` answers, and a word that is not in it. A command
/// that a user has added is found in the same table and costs what `TIME` costs (`cargo bench
/// --bench instructions`).
const MIX: [&str; 5] = ["ECHO Hello from client", "TIME", "HELP", "echo Hello from client", "NOPE"];

/// A fault of a server, which does not depend on the speed of the machine.
#[derive(Debug)]
pub struct Defect(pub String);

impl fmt::Display for Defect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for Defect {}

/// The result of a load.
pub struct Outcome {
    pub answers: f64,
    pub per_second: f64,
    pub p50_us: f64,
    pub p99_us: f64,
}

impl Outcome {
    fn of(report: &Report) -> Result<Self, Box<dyn Error>> {
        let (asked, reached) = (report.connections.asked_count, report.connections.reached_count);
        if reached < asked {
            return Err(format!("only {reached} connections").into());
        }
        let of = |error| report.errors.by_cause.get(error);
        let wrong = of(ReplyError::Wrong) + of(ReplyError::Foreign) + of(ReplyError::Surplus);
        if wrong > 0 {
            return Err(Box::new(Defect(format!("{wrong} answers were wrong"))));
        }
        if report.errors.total_count > 0 {
            return Err(
                format!("{} answers were missing or late", report.errors.total_count).into()
            );
        }
        let quantile_us = |quantile| microseconds(report.latency.from_send.0.quantile(quantile));
        Ok(Self {
            answers: report.replies.correct_count as f64,
            per_second: report.throughput.replies_per_s,
            p50_us: quantile_us(0.5),
            p99_us: quantile_us(0.99),
        })
    }
}

/// A running generator; killed when dropped.
pub struct Generator {
    child: Child,
    /// The time after which it is killed.
    patience: Duration,
    /// The file of its report.
    path: PathBuf,
}

impl Generator {
    /// Sends `load` to the server at `addr`, for `duration` from when all connections are open.
    ///
    /// # Errors
    /// When it does not start.
    pub fn start(
        load: Load,
        addr: SocketAddr,
        contender: &Contender,
        duration: Duration,
    ) -> Result<Self, Box<dyn Error>> {
        let program = env!("CARGO_BIN_EXE_tinytcp-load");
        let mut command = match load.is_background {
            true => Command::new("nice"),
            false => Command::new(program),
        };
        if load.is_background {
            command.args(["-n", "19", program]);
        }
        let path = env::temp_dir().join(format!(
            "versus-{}-{}.json",
            process::id(),
            u8::from(load.is_background)
        ));
        command
            .args(target(addr, contender, load))
            .args(["-c", &load.connections.to_string(), "-P", &load.depth.to_string()])
            .args([
                "-d",
                &milliseconds(duration),
                "--timeout",
                &milliseconds(load.patience() / 2),
                "--json",
            ])
            .arg(&path);
        if load.is_churn {
            command.args(["--lifetime", "1"]);
        }
        if contender.is_encrypted() {
            command.arg("--tls-ca").arg(Certificate::of_this_run()?.certificate());
        }
        if load.is_resumed && contender.is_encrypted() {
            command.args(["--tls-resume", "on"]);
        }
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        Ok(Self { child: command.spawn()?, patience: duration + load.patience(), path })
    }

    /// Stops the generator, which must still be running.
    ///
    /// # Errors
    /// When it has ended before.
    pub fn stop(mut self) -> Result<(), Box<dyn Error>> {
        if self.child.try_wait()?.is_none() {
            Ok(())
        } else {
            Err("the flood ended by itself".into())
        }
    }

    /// Waits for the end of the generator and reads its report.
    ///
    /// # Errors
    /// When it failed, or an answer was wrong or missing. Such a server has no figures.
    pub fn finish(mut self) -> Result<Outcome, Box<dyn Error>> {
        let deadline = Instant::now() + self.patience;
        while self.child.try_wait()?.is_none() {
            if Instant::now() > deadline {
                return Err("no end of the load".into());
            }
            thread::sleep(Duration::from_millis(5));
        }
        let report = report::read(&self.path).map_err(|_| "the generator gave up")?;
        Outcome::of(&report)
    }
}

impl Drop for Generator {
    fn drop(&mut self) {
        // These fail only if the process has ended and the file does not exist.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_file(&self.path);
    }
}

fn milliseconds(duration: Duration) -> String {
    format!("{}ms", duration.as_millis())
}

/// Returns the arguments that name the server and the requests.
fn target(addr: SocketAddr, contender: &Contender, load: Load) -> Vec<String> {
    let protocol = contender.protocol;
    let tls = if contender.is_encrypted() { "+tls" } else { "" };
    match protocol {
        _ if load.is_mix => {
            let greeting = String::from_utf8_lossy(protocol.greeting()).replace('\n', r"\n");
            let requests = MIX.iter().flat_map(|line| ["-m".into(), format!(r"{line}\n")]);
            // The bytes of the answer to `TIME` are not known, so an answer is any line.
            let raw = [format!("tcp{tls}://{addr}"), "--raw".into(), "--greeting".into(), greeting];
            raw.into_iter().chain(["--expect-end".into(), r"\n".into()]).chain(requests).collect()
        }
        Protocol::Ours(scheme) => {
            let text = protocol.text(load.text_len);
            let message = match scheme {
                "text" => format!("ECHO {text}"),
                "binary" => format!("echo {text}"),
                _ => text,
            };
            vec![format!("{scheme}{tls}://{addr}"), "-m".into(), message]
        }
        other => {
            let exchange = other.exchange(load.text_len);
            let escaped = |bytes: Vec<u8>| bytes.escape_ascii().to_string();
            let (request, answer) = (escaped(exchange.request), escaped(exchange.answer));
            vec![
                format!("tcp://{addr}"),
                "--raw".into(),
                "-m".into(),
                request,
                "--expect".into(),
                answer,
            ]
        }
    }
}

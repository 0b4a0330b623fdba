//! Metrics of a run in the text format of Prometheus, at an endpoint of the generator.

use std::fmt::{Display, Write as _};
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tinytcp_cli::signals;

use crate::measurement::causes::Cause;
use crate::measurement::counts::Counts;
use crate::measurement::latency::Latency;

/// Start of each name.
const PREFIX: &str = "tinytcp";

/// Timeout of a scrape, during which others wait.
const TIMEOUT: Duration = Duration::from_secs(1);

/// Maximum size of a request.
const REQUEST_MAX: usize = 8 * 1024;

/// The endpoint. It serves one scrape at a time, until the process ends.
#[derive(Debug)]
pub struct MetricsEndpoint {
    address: SocketAddr,
    text: Arc<Mutex<String>>,
}

impl MetricsEndpoint {
    /// Listens on `address`, and starts the thread that answers.
    ///
    /// # Errors
    /// Fails if the address is in use or not of this machine.
    pub fn open(address: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(address)?;
        let endpoint = Self { address: listener.local_addr()?, text: Arc::default() };
        endpoint.update(&Counts::default(), 0, true);
        let text = Arc::clone(&endpoint.text);
        let serve = move || {
            for stream in listener.incoming().flatten() {
                let text = text.lock().unwrap_or_else(PoisonError::into_inner).clone();
                // A scrape that fails is repeated by its client.
                let _ = answer(stream, &text);
            }
        };
        signals::start_without_signals("metrics", serve)?;
        Ok(endpoint)
    }

    /// Returns the address, with the port that the system chose for port 0.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Publishes the counts of the run so far. `is_closed_loop` is true without a schedule.
    pub fn update(&self, total: &Counts, open: usize, is_closed_loop: bool) {
        let text = text(total, open, is_closed_loop);
        *self.text.lock().unwrap_or_else(PoisonError::into_inner) = text;
    }
}

/// Answers one request.
fn answer(mut stream: TcpStream, text: &str) -> io::Result<()> {
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    let mut request = Vec::new();
    let mut block = [0; 1024];
    while !request.windows(4).any(|bytes| bytes == b"\r\n\r\n") && request.len() < REQUEST_MAX {
        match stream.read(&mut block)? {
            0 => return Ok(()),
            len => request.extend_from_slice(&block[..len]),
        }
    }
    let line = request.split(|byte| *byte == b'\r').next().unwrap_or_default();
    let (status, body) = match line.split(|byte| *byte == b' ').collect::<Vec<_>>()[..] {
        [b"GET", b"/metrics", _] => ("200 OK", text),
        [b"GET", ..] => ("404 Not Found", "the metrics are at /metrics\n"),
        _ => ("405 Method Not Allowed", "the method is GET\n"),
    };
    let length = body.len();
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/plain; version=0.0.4\r\n\
         Content-Length: {length}\r\nConnection: close\r\n\r\n"
    );
    stream.write_all((head + body).as_bytes())
}

/// Returns the metrics. The writes to a string cannot fail.
fn text(total: &Counts, open: usize, is_closed_loop: bool) -> String {
    let mut page = String::new();
    head(&mut page, "requests_sent_total", "counter", "Requests sent.");
    sample(&mut page, "requests_sent_total", total.sent);
    head(&mut page, "replies_correct_total", "counter", "Correct replies.");
    sample(&mut page, "replies_correct_total", total.correct);
    head(&mut page, "errors_total", "counter", "Failed requests by cause.");
    for (cause, count) in total.errors.iter() {
        sample(&mut page, &format!("errors_total{{cause=\"{}\"}}", cause.name()), count);
    }
    head(&mut page, "connections_opened_total", "counter", "Connections opened.");
    sample(&mut page, "connections_opened_total", total.opened);
    head(&mut page, "connect_errors_total", "counter", "Connections not opened by cause.");
    for (cause, count) in total.connect_errors.iter() {
        sample(&mut page, &format!("connect_errors_total{{cause=\"{}\"}}", cause.name()), count);
    }
    head(&mut page, "tls_handshakes_total", "counter", "Completed handshakes by kind.");
    for (kind, count) in [("full", total.tls.all.full), ("resumed", total.tls.all.resumed)] {
        sample(&mut page, &format!("tls_handshakes_total{{kind=\"{kind}\"}}"), count);
    }
    head(&mut page, "connections_open", "gauge", "Open connections.");
    sample(&mut page, "connections_open", open);
    head(&mut page, "cpu_seconds_total", "counter", "CPU time of the generator threads.");
    sample(&mut page, "cpu_seconds_total", total.cpu.as_secs_f64());
    let reply = if is_closed_loop { &total.from_send } else { &total.from_schedule };
    let what = "Reply latency of the run so far, from the schedule or the send.";
    latency(&mut page, "latency_seconds", what, reply);
    let what = "Time of the handshakes of TLS so far.";
    latency(&mut page, "tls_handshake_seconds", what, &total.tls.handshake);
    page
}

fn latency(page: &mut String, name: &str, what: &str, latency: &Latency) {
    head(page, name, "summary", what);
    for quantile in [0.5, 0.9, 0.99, 0.999, 1.0] {
        if latency.count() > 0 {
            let value = latency.quantile(quantile).as_secs_f64();
            sample(page, &format!("{name}{{quantile=\"{quantile}\"}}"), value);
        }
    }
    sample(page, &format!("{name}_sum"), latency.mean().as_secs_f64() * latency.count() as f64);
    sample(page, &format!("{name}_count"), latency.count());
}

fn head(page: &mut String, name: &str, kind: &str, help: &str) {
    let name = format!("{PREFIX}_load_{name}");
    let _ = write!(page, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
}

fn sample(page: &mut String, name: &str, value: impl Display) {
    let _ = writeln!(page, "{PREFIX}_load_{name} {value}");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures;

    /// Sends a request to an endpoint with the counts of the fixture, and returns the answer.
    fn scrape(request: &str) -> String {
        let endpoint = MetricsEndpoint::open(([127, 0, 0, 1], 0).into()).expect("a free port");
        endpoint.update(&fixtures::closed().done().total, 10, true);
        let mut stream = TcpStream::connect(endpoint.address()).expect("it listens");
        stream.write_all(request.as_bytes()).expect("it reads");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("it answers and closes");
        answer
    }

    #[test]
    fn the_metrics_have_the_counts_of_the_run() {
        let answer = scrape("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
        for line in [
            "tinytcp_load_requests_sent_total 100000\n",
            "tinytcp_load_replies_correct_total 100000\n",
            "tinytcp_load_errors_total{cause=\"wrong\"} 0\n",
            "tinytcp_load_connections_open 10\n",
            "tinytcp_load_latency_seconds_count 100000\n",
            "tinytcp_load_cpu_seconds_total 3\n",
        ] {
            assert!(answer.contains(line), "{line} is missing in {answer}");
        }
        assert!(answer.contains("latency_seconds{quantile=\"0.99\"} 0.001"), "{answer}");
    }

    #[test]
    fn other_paths_and_methods_are_refused() {
        assert!(scrape("GET / HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 404 "));
        assert!(scrape("POST /metrics HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 405 "));
    }
}

//! `http`: the state of the server for programs and people, on a listener of its own.
//!
//! | path | answer |
//! |---|---|
//! | `/healthz` | 200 as long as the loop runs |
//! | `/readyz` | 200, or 503 and the [`Obstacle`] to new connections |
//! | `/metrics` | every counter and gauge for Prometheus, or as OpenMetrics |
//! | `/status` | the same as JSON |
//! | `/` | a page that shows the state and updates itself |
//!
//! The loop runs these sessions like all others, so an answer proves that the loop runs. The
//! listener has a limit of its own: its connections do not count against the server's limit of
//! connections, are served while that limit is reached, and do not appear in the activity log. A
//! connection receives one answer and is closed. No request changes the server.
//!
//! [`Obstacle`]: crate::status::Obstacle

mod request;
mod results;
#[cfg(test)]
mod tests;

use std::io::{self, Write};
use std::sync::Arc;

use super::{Accepted, Context, Farewell, Output, Protocol, Session, Step, errors};
use crate::close_reason::CloseReason;
use crate::display::http_date::http_date;
use crate::metrics::{exposition, json};
use crate::status::Status;
use request::{Problem, Target};

/// The longest head of a request in bytes. Browsers send about 1 KiB.
const HEAD_BYTES_MAX: usize = 8 << 10;

/// The most connections that a listener of this protocol serves at a time.
const PLACES: usize = 16;

/// An upper bound of an answer in bytes, without its listeners. The page is the longest answer.
const ANSWER_BYTES_MAX: usize = 16 << 10;

/// The most bytes that one listener adds to an answer: a line for each of its counters.
const LISTENER_BYTES_MAX: usize = 2 << 10;

/// The width of the field for the length of the body. The field precedes the body and is filled in
/// after it, when the length is known.
const LENGTH_WIDTH: usize = 8;

/// The page, with its style and its script.
const PAGE: &str = include_str!("page.html");

/// The protocol `http`, with the names of hosts that it answers for.
#[derive(Clone, Debug, Default)]
pub struct Admin {
    hosts: Arc<[String]>,
}

impl Admin {
    /// Creates the protocol. It answers requests whose host is absent, empty, an IP address or
    /// `localhost`, with or without a port. HTTP/1.1 demands a host (RFC 9112, section 3.2), but a
    /// request without one, typed into `nc`, is no danger.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Creates the protocol, which answers requests for the names `hosts` too.
    ///
    /// It refuses other names because of DNS rebinding: the owner of a name can point it at the
    /// address of this server, and a page from that name could then read the answers.
    #[must_use]
    pub fn with_hosts(hosts: impl IntoIterator<Item = String>) -> Self {
        Self { hosts: hosts.into_iter().collect() }
    }
}

impl Protocol for Admin {
    fn name(&self) -> &'static str {
        "http"
    }

    fn session(&self, _accepted: &Accepted) -> Box<dyn Session> {
        Box::new(AdminSession { hosts: Arc::clone(&self.hosts) })
    }

    fn own_places(&self) -> Option<usize> {
        Some(PLACES)
    }
}

struct AdminSession {
    hosts: Arc<[String]>,
}

impl Session for AdminSession {
    fn advance(&mut self, input: &[u8], context: &mut Context<'_>) -> (usize, Step) {
        let head = input.get(..HEAD_BYTES_MAX).unwrap_or(input);
        let request = match request::parse(head, &self.hosts) {
            // A connection without a request counts as one with an incomplete message, so that the
            // message timeout frees its place.
            Ok(None) if head.len() < HEAD_BYTES_MAX => {
                return (0, Step::Incomplete { missing: None });
            }
            Ok(None) => Err(Problem::HeadTooLong),
            Ok(Some(target)) => Ok(target),
            Err(problem) => Err(problem),
        };
        context.received("", b"");
        // The answer to `HEAD` has no body, even a refusal (RFC 9110, section 9.3.2).
        let is_head = head.trim_ascii_start().starts_with(b"HEAD ");
        let reason = match request {
            Ok(_) => CloseReason::Quit,
            Err(_) => CloseReason::WrongProtocol,
        };
        answer(request, !is_head, context);
        (input.len(), Step::Close(reason))
    }

    fn refuse(&mut self, input: &[u8], context: &mut Context<'_>) -> usize {
        context.refused(errors::SERVER_BUSY);
        input.len()
    }

    fn append_farewell(&mut self, farewell: Farewell, output: &mut Output<'_>) {
        let (result, token) = match farewell {
            Farewell::MessageTimeout => (results::REQUEST_TIMEOUT, "MESSAGE_TIMEOUT"),
            Farewell::TlsRequired => (results::BAD_REQUEST, "TLS_REQUIRED"),
            Farewell::NotTls => (results::BAD_REQUEST, "NOT_TLS"),
            Farewell::ServerBusy => (results::UNAVAILABLE, errors::SERVER_BUSY),
            // A client without a request expects no answer.
            Farewell::IdleTimeout | Farewell::Shutdown => return,
        };
        let len = token.len() + 1;
        // Writing to an output never fails.
        let _ = write!(
            output,
            "HTTP/1.1 {result}\r\nConnection: close\r\nContent-Type: text/plain\r\n\
             Content-Length: {len}\r\n\r\n{token}\n"
        );
    }
}

/// The parts of an answer's head that differ between answers.
struct Head {
    result: &'static str,
    content_type: &'static str,
    /// One more header line with its ending, or an empty string.
    extra: &'static str,
}

const PLAIN: &str = "text/plain; charset=utf-8";

/// A header line that stops the page from connecting to any other server.
const PAGE_POLICY: &str = "Content-Security-Policy: connect-src 'self'; img-src data:; \
                           object-src 'none'; base-uri 'none'; form-action 'none'\r\n";

/// Appends the answer to `request`, or `503` if there is no memory for an answer.
fn answer(request: Result<Target, Problem>, has_body: bool, context: &mut Context<'_>) {
    let status = context.status();
    let len_max = ANSWER_BYTES_MAX + status.listeners.len() * LISTENER_BYTES_MAX;
    let date = http_date(context.wall());
    let output = context.output();
    let (head, target) = match request {
        _ if !output.reserve(len_max) => {
            (Head { result: results::UNAVAILABLE, content_type: PLAIN, extra: "" }, None)
        }
        Ok(target) => (head_of(target, status), Some(target)),
        Err(problem) => {
            (Head { result: problem.result(), content_type: PLAIN, extra: problem.extra() }, None)
        }
    };
    // Writing to an output never fails.
    let _ = write!(
        output,
        "HTTP/1.1 {}\r\nDate: {date}\r\nConnection: close\r\nCache-Control: no-store\r\n\
         X-Content-Type-Options: nosniff\r\n{}Content-Type: {}\r\nContent-Length: ",
        head.result, head.extra, head.content_type
    );
    let length_at = output.len();
    output.append(&[b' '; LENGTH_WIDTH]);
    output.append(b"\r\n\r\n");
    let body_at = output.len();
    let _ = match target {
        Some(target) => write_body(target, status, output),
        None => writeln!(output, "{}", head.result),
    };
    let mut length = [b' '; LENGTH_WIDTH];
    let _ = write!(&mut length[..], "{:LENGTH_WIDTH$}", output.len() - body_at);
    output.overwrite(length_at, &length);
    if !has_body {
        output.truncate(body_at);
    }
}

fn head_of(target: Target, status: &Status) -> Head {
    let (result, content_type, extra) = match target {
        Target::Ready if status.obstacle().is_some() => (results::UNAVAILABLE, PLAIN, ""),
        Target::Health | Target::Ready => (results::OK, PLAIN, ""),
        Target::Metrics(format) => (results::OK, format.content_type(), ""),
        Target::Status => (results::OK, "application/json", ""),
        Target::Page => (results::OK, "text/html; charset=utf-8", PAGE_POLICY),
    };
    Head { result, content_type, extra }
}

fn write_body(target: Target, status: &Status, output: &mut Output<'_>) -> io::Result<()> {
    match target {
        Target::Health => writeln!(output, "ok"),
        Target::Ready => match status.obstacle() {
            None if status.bus.is_some_and(|bus| !bus.is_connected) => writeln!(
                output,
                "ready; the bus is not connected: rooms reach the members of this server only"
            ),
            None => writeln!(output, "ready"),
            Some(obstacle) => writeln!(output, "{obstacle}"),
        },
        Target::Metrics(format) => exposition::write(status, format, output),
        Target::Status => json::write(status, output),
        Target::Page => output.write_all(PAGE.as_bytes()),
    }
}

//! An existing protocol: enough HTTP/1.1 to show the state of the server beside the protocol that
//! it serves.
//!
//! ```text
//! $ cargo run --example status &
//! $ curl http://127.0.0.1:40006/status
//! up for 12 s, 1 of 1000 connections open, 0 bytes in buffers
//! text://127.0.0.1:40005: connections: 0 open, 3 accepted; messages: 7; bytes: 41 in, 152 out
//! status://127.0.0.1:40006: connections: 1 open, 1 accepted; messages: 0; bytes: 88 in, 0 out
//! ```

use std::error::Error;
use std::io::{self, Write};
use std::net::SocketAddr;

use env_logger::Env;
use memchr::memmem;
use tinytcp::protocol::{Accepted, Context, Protocol, Session, Step, Text};
use tinytcp::{Builder, CloseReason, Server, Status};

/// The longest head of a request, in bytes.
const HEAD_BYTES_MAX: usize = 8 << 10;

/// The width of the field for a body's length, which is written before the body and filled in after
/// it.
const LENGTH_WIDTH: usize = 8;

struct Http;

struct Conversation;

impl Protocol for Http {
    fn name(&self) -> &'static str {
        "status"
    }

    fn session(&self, _accepted: &Accepted) -> Box<dyn Session> {
        Box::new(Conversation)
    }
}

impl Session for Conversation {
    fn advance(&mut self, input: &[u8], context: &mut Context<'_>) -> (usize, Step) {
        let head = match memmem::find(input, b"\r\n\r\n") {
            Some(head_len) if head_len <= HEAD_BYTES_MAX => {
                input.get(..head_len).unwrap_or_default()
            }
            None if input.is_empty() => return (0, Step::Done),
            None if input.len() <= HEAD_BYTES_MAX => {
                return (0, Step::Incomplete { missing: None });
            }
            _ => {
                context.refused("HEAD_TOO_LONG");
                answer(context, "431 Request Header Fields Too Large", |_, _| Ok(()));
                return (input.len(), Step::Close(CloseReason::WrongProtocol));
            }
        };
        let request_line = head.split(|byte| *byte == b'\r').next().unwrap_or_default();
        context.received("", request_line);
        match request_line {
            b"GET /status HTTP/1.1" | b"GET /status HTTP/1.0" => answer(context, "200 OK", render),
            line if line.starts_with(b"GET /") => answer(context, "404 Not Found", |_, _| Ok(())),
            _ => answer(context, "501 Not Implemented", |_, _| Ok(())),
        }
        // One answer per connection: its end is the end of the body.
        (input.len(), Step::Close(CloseReason::Quit))
    }
}

/// Appends an answer whose body `write` makes of the state of the server.
fn answer(
    context: &mut Context<'_>,
    result: &str,
    write: fn(&Status, &mut dyn Write) -> io::Result<()>,
) {
    let status = context.status();
    let output = context.output();
    output.append(
        format!(
            "HTTP/1.1 {result}\r\nConnection: close\r\nContent-Type: text/plain\r\nContent-Length: "
        )
        .as_bytes(),
    );
    let length_at = output.len();
    output.append(format!("{:LENGTH_WIDTH$}\r\n\r\n", 0).as_bytes());
    let body_at = output.len();
    // Writing to an output never fails.
    let _ = write(status, output);
    let length = format!("{:LENGTH_WIDTH$}", output.len() - body_at);
    output.overwrite(length_at, length.as_bytes());
}

fn render(status: &Status, body: &mut dyn Write) -> io::Result<()> {
    let (up, held) = (status.uptime.as_secs(), status.held_bytes);
    writeln!(
        body,
        "up for {up} s, {} of {} connections open, {held} bytes in buffers",
        status.total().open(),
        status.connections_max
    )?;
    status.listeners.iter().try_for_each(|listener| {
        let (url, counters) = (&listener.url, &listener.counters);
        let (open, accepted, messages) = (counters.open(), counters.accepted, counters.messages);
        let (received, sent) = (counters.received_bytes, counters.sent_bytes);
        writeln!(
            body,
            "{url}: connections: {open} open, {accepted} accepted; messages: {messages}; \
             bytes: {received} in, {sent} out"
        )
    })
}

/// A server for `text` that shows its state at `status`.
pub fn server(text: SocketAddr, status: SocketAddr) -> Builder {
    Server::builder().listen(text, Text::new()).listen(status, Http)
}

fn main() -> Result<(), Box<dyn Error>> {
    env_logger::Builder::from_env(Env::default().default_filter_or("info")).init();
    let [text, status] = [40_005, 40_006].map(|port| ([127, 0, 0, 1], port).into());
    let server = server(text, status).stop_on_signals(Server::STOP_SIGNALS).build()?;
    for bound in server.addresses() {
        println!("listening on {bound}");
    }
    log::info!("stopped: {}", server.run()?);
    Ok(())
}

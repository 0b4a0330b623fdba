//! The honest clients: `tinytcp-load` with a schedule that does not wait for answers.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use super::generator::Generator;

/// The number of honest clients.
pub const CLIENTS: usize = 100;

/// The requests per second of all honest clients. It is a tenth of what the generator can send, so
/// that the generator is on time, and the server has most of its time for the attackers.
pub const REQUESTS_PER_SECOND: usize = 2000;

/// An answer that takes longer is an error.
const TIMEOUT: &str = "5s";

/// Starts a generator that loads the server at `addr`.
///
/// # Errors
/// When the generator does not start.
pub fn start(addr: SocketAddr, duration: Duration) -> io::Result<Generator> {
    let (url, duration) = (format!("text://{addr}"), format!("{}ms", duration.as_millis()));
    let (clients, rate) = (CLIENTS.to_string(), REQUESTS_PER_SECOND.to_string());
    let load = ["-c", &clients, "-R", &rate, "-d", &duration, "--timeout", TIMEOUT];
    Generator::start("honest clients", false, &[&[url.as_str()], &load[..]].concat())
}

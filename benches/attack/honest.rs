//! The honest clients: `tinytcp-load` with a schedule that waits for nobody.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use super::generator::Generator;

/// How many they are.
pub const CLIENTS: usize = 100;

/// How many requests are due in a second, all together: a tenth of what the generator could send,
/// so that it is always in time, and the server has most of its time left for the attackers.
pub const REQUESTS_PER_SECOND: usize = 2000;

/// What is longer under way is an error.
const TIMEOUT: &str = "5s";

/// Begins to load the server at `addr`.
///
/// # Errors
/// When the generator does not start.
pub fn start(addr: SocketAddr, duration: Duration) -> io::Result<Generator> {
    let (url, duration) = (format!("text://{addr}"), format!("{}ms", duration.as_millis()));
    let (clients, rate) = (CLIENTS.to_string(), REQUESTS_PER_SECOND.to_string());
    let load = ["-c", &clients, "-R", &rate, "-d", &duration, "--timeout", TIMEOUT];
    Generator::start("honest clients", false, &[&[url.as_str()], &load[..]].concat())
}

//! The question of a plain run whose server is silent: whether it demands TLS.

use std::io;
use std::net::TcpStream;
use std::time::Instant;

use tinytcp_cli::tls_demand::{SILENCE, answers_with_demand};
use tinytcp_core::os::endpoint::Endpoint;
use tinytcp_core::os::outgoing;

use super::settings::BroadcastSettings;

/// Asks on a connection of its own to each address in turn, until one demands TLS. Takes at most
/// [`SILENCE`].
pub fn demands_tls(settings: &BroadcastSettings) -> bool {
    let deadline = Instant::now() + SILENCE;
    settings.endpoints.iter().any(|endpoint| {
        connect(endpoint, settings, deadline)
            .is_ok_and(|stream| answers_with_demand(&stream, deadline))
    })
}

fn connect(
    endpoint: &Endpoint,
    settings: &BroadcastSettings,
    deadline: Instant,
) -> io::Result<TcpStream> {
    let left = deadline.saturating_duration_since(Instant::now());
    let stream = outgoing::connect(endpoint, left)?;
    if let Some(header) = settings.proxy_header {
        header.send(&stream)?;
    }
    Ok(stream)
}

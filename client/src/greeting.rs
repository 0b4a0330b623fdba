//! Connecting to a server that greets its clients, and that may demand TLS instead.

use std::time::{Duration, Instant};

use tinytcp_cli::target::Target;
use tinytcp_cli::tls_demand::{self, SILENCE};

use crate::connect::{ConnectOptions, connect, connect_socket};
use crate::dialogue;
use crate::error::ClientError;
use crate::stream::Stream;

/// Connects to `target` as [`connect`] does. If the protocol has a banner, a plain connection waits
/// for its first byte, for [`SILENCE`] at most. After a longer silence, another connection asks
/// whether the server demands TLS; if it does not, the first one is returned as it is.
///
/// # Errors
/// Those of [`connect`], and [`ClientError::Refused`] if the server demands TLS.
pub fn connect_greeted(
    target: &Target,
    options: ConnectOptions<'_>,
) -> Result<Stream, ClientError> {
    let stream = connect(target, options)?;
    if target.is_encrypted || dialogue::banner(target.protocol).is_none() {
        return Ok(stream);
    }
    let patience = options.timeout.map_or(SILENCE, |timeout| timeout.min(SILENCE));
    let is_silent = matches!(stream.has_ended_by(Some(Instant::now() + patience)), Ok(None));
    if is_silent && demands_tls(target, options, patience) {
        let remedy = tls_demand::remedy(&target.to_string());
        return Err(ClientError::Refused(format!("{target}: {remedy}")));
    }
    Ok(stream)
}

/// Asks on another connection whether the server demands TLS.
fn demands_tls(target: &Target, options: ConnectOptions<'_>, patience: Duration) -> bool {
    let deadline = Instant::now() + patience;
    let options = ConnectOptions { timeout: Some(patience), ..options };
    connect_socket(target, options, Some(deadline))
        .is_ok_and(|socket| tls_demand::answers_with_demand(&socket, deadline))
}

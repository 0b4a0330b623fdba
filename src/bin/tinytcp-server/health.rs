//! `--health`: asks a running server whether it answers, for container engines without a shell.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use tinytcp_cli::address::Place;
use tinytcp_core::os::endpoint::Endpoint;
use tinytcp_core::os::outgoing::connect_unix;

use crate::program_error::ProgramError;

/// A loop that does not answer within this time is not healthy.
const TIMEOUT: Duration = Duration::from_secs(5);

/// The longest answer to `/healthz` that is read.
const ANSWER_BYTES_MAX: u64 = 4096;

/// Requests `/healthz` of the server at `place`. Returns the body of the answer.
///
/// # Errors
/// When the server cannot be reached or does not answer that it is healthy.
pub fn check(place: &Place) -> Result<String, ProgramError> {
    let answer = place.resolve().and_then(|endpoints| ask_any(&endpoints)).map_err(|error| {
        let scheme = format_args!("http{}", place.scheme_suffix());
        ProgramError::Failure(format!("no answer from {scheme}://{place}: {error}"))
    })?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    match head.split(' ').nth(1) {
        Some("200") => Ok(body.trim_end().to_owned()),
        _ => {
            let status = head.lines().next().unwrap_or_default();
            Err(ProgramError::Failure(format!("not healthy: {status}")))
        }
    }
}

/// Asks the first endpoint that can be reached.
fn ask_any(endpoints: &[Endpoint]) -> io::Result<String> {
    let mut result = Err(io::ErrorKind::NotFound.into());
    for endpoint in endpoints {
        result = ask(endpoint);
        if result.is_ok() {
            break;
        }
    }
    result
}

fn ask(endpoint: &Endpoint) -> io::Result<String> {
    let mut stream = match endpoint {
        Endpoint::Tcp(addr) => TcpStream::connect_timeout(addr, TIMEOUT)?,
        Endpoint::Unix(path) => connect_unix(path, Some(TIMEOUT))?.into(),
        _ => return Err(io::ErrorKind::Unsupported.into()),
    };
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.take(ANSWER_BYTES_MAX).read_to_string(&mut answer)?;
    Ok(answer)
}

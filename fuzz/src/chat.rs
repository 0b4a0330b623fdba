//! A session of `chat`.

use tinytcp_core::protocol::chat;
use tinytcp_core::testing::clock;

use crate::talk;

/// The first answer that fits is given, whatever stands around the words.
pub fn check(data: &[u8]) {
    talk::check(&chat::protocol(), data, |limits, bursts| talk::oracle(limits, bursts, answer));
}

/// The answer to one message; none to the one that closes.
fn answer(message: &[u8]) -> Option<Vec<u8>> {
    let lower: String = message.iter().map(|byte| char::from(byte.to_ascii_lowercase())).collect();
    Some(match lower {
        _ if lower == "exit" => return None,
        _ if lower.contains("time") => format!("Server Time: {}", clock().time_of_day()).into(),
        _ if lower.contains("hello") => b"Hello from the server! Connection established.".to_vec(),
        _ if lower.contains("status") => b"Server is running smoothly on Rust.".to_vec(),
        _ => [b"ACK: Received '", message, b"'"].concat(),
    })
}

//! Servers that demand TLS of a client without it: how the client notices, and what it says.
//!
//! A server with TLS waits for the first bytes of its clients. A plain client that waits for a
//! greeting would then wait with it, so it asks on a connection of its own.

use std::io::Write;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::timed_read::read_until;

/// The silence after which a plain client asks: long for a network, and short for a person.
pub const SILENCE: Duration = Duration::from_secs(1);

/// The error of our servers for a client without TLS.
pub const ERROR: &[u8] = b"TLS_REQUIRED";

/// The question: a command of text with five bytes, which are the header of a record for a server
/// with TLS. A shorter line would let it wait for more.
const QUESTION: &[u8] = b"TIME\n";

/// The first byte of a record with an alert (RFC 8446, 5.1).
const ALERT: u8 = 21;

/// Sends a line on `stream`, on which nothing was sent. Returns true if the server answers by
/// `deadline` that it demands TLS.
#[must_use]
pub fn answers_with_demand(mut stream: &TcpStream, deadline: Instant) -> bool {
    // A server that does not take five bytes has closed, and is heard all the same.
    let _ = stream.write_all(QUESTION);
    let (mut answer, mut piece) = (Vec::new(), [0; 64]);
    while !is_demand(&answer)
        && answer.len() < piece.len()
        && let Ok(Some(len @ 1..)) = read_until(stream, Some(deadline), &mut piece)
    {
        answer.extend_from_slice(piece.get(..len).unwrap_or_default());
    }
    is_demand(&answer)
}

/// Returns the line about a server that demands TLS, with the URL to write for the plain `target`.
#[must_use]
pub fn remedy(target: &str) -> String {
    let (protocol, rest) = target.split_at(target.find(['+', ':']).unwrap_or(target.len()));
    format!("the server demands TLS: write {protocol}+tls{rest}")
}

/// Returns true for the start of an alert, and for [`ERROR`] in any framing.
fn is_demand(answer: &[u8]) -> bool {
    answer.first() == Some(&ALERT) || answer.windows(ERROR.len()).any(|window| window == ERROR)
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::net::TcpListener;
    use std::thread;

    use super::*;

    /// Asks a server that reads five bytes, sends the pieces of `answer`, and closes.
    fn ask(answer: &'static [&'static [u8]]) -> bool {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let client = TcpStream::connect(listener.local_addr().expect("bound")).expect("a listener");
        let (mut server, _) = listener.accept().expect("connected");
        let serving = thread::spawn(move || {
            server.read_exact(&mut [0; 5]).expect("the question");
            answer.iter().for_each(|piece| server.write_all(piece).expect("a client that reads"));
        });
        let answered = answers_with_demand(&client, Instant::now() + Duration::from_secs(20));
        serving.join().expect("a server without a failure");
        answered
    }

    #[test]
    fn an_alert_and_the_error_of_our_servers_demand_tls() {
        assert!(ask(&[b"\x15"]));
        assert!(ask(&[b"ERROR TLS_", b"REQUIRED\n"]));
        assert!(ask(&[b"\xff\0\0\0\x0cTLS_REQUIRED"]));
    }

    #[test]
    fn no_other_answer_demands_tls() {
        assert!(!ask(&[]));
        assert!(!ask(&[b"WELCOME\n", b"TIME 2025-09-12T17:24:13-05:00\n"]));
        assert!(!ask(&[&[b'x'; 200]]));
    }

    #[test]
    fn the_remedy_is_the_target_with_tls() {
        for (plain, encrypted) in [
            ("text://localhost:1", "write text+tls://localhost:1"),
            ("chat+unix:///run/t.sock", "write chat+tls+unix:///run/t.sock"),
        ] {
            assert_eq!(remedy(plain), format!("the server demands TLS: {encrypted}"));
        }
    }
}

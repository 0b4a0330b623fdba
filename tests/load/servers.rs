//! Servers that break the protocol in one way each, and count their faults.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use crate::support::BANNER;
use crate::support::behaviour::{hold, serve};

/// The answer of a server to a line.
pub enum Answer {
    /// These bytes, in one piece.
    Bytes(Vec<u8>),
    /// Nothing.
    Nothing,
    /// These bytes, a byte at a time.
    Slowly(Vec<u8>),
    /// These bytes, then the end of the connection.
    Last(Vec<u8>),
    /// These bytes, repeated as long as the client reads.
    Endless(Vec<u8>),
    /// Custom behaviour.
    Own(fn(TcpStream)),
}

/// Returns the correct answer to a line of `ECHO`.
pub fn right(line: &[u8]) -> Answer {
    Answer::Bytes(line.to_vec())
}

/// Serves correct text. Returns the URL, and the counter of the lines that it has answered.
pub fn counting() -> (String, Counter) {
    let lines = Counter::default();
    let counted = lines.clone();
    let url = text(move |line| {
        counted.add();
        right(line)
    });
    (url, lines)
}

/// Serves text: sends the banner, and answers each line with `answer`. Returns the URL.
pub fn text(answer: impl Fn(&[u8]) -> Answer + Send + Sync + 'static) -> String {
    let port = serve(move |stream| drop(session(stream, BANNER, &answer)));
    format!("text://127.0.0.1:{port}")
}

/// Serves correct text with a delay of `delay` after each request.
pub fn late(delay: Duration) -> String {
    text(move |line| {
        thread::sleep(delay);
        right(line)
    })
}

/// Serves lines without a banner. Returns the address without a scheme.
pub fn lines(answer: impl Fn(&[u8]) -> Answer + Send + Sync + 'static) -> String {
    let port = serve(move |stream| drop(session(stream, b"", &answer)));
    format!("127.0.0.1:{port}")
}

/// Serves text with correct answers, except to the line with this number, counted over all
/// connections from 0.
pub fn text_but(number: u64, fault: impl Fn(&[u8]) -> Answer + Send + Sync + 'static) -> String {
    let lines = AtomicU64::new(0);
    text(
        move |line| {
            if lines.fetch_add(1, Ordering::SeqCst) == number { fault(line) } else { right(line) }
        },
    )
}

/// Serves one connection, from the greeting to its end.
pub fn session(
    mut stream: TcpStream,
    greeting: &[u8],
    answer: impl Fn(&[u8]) -> Answer,
) -> io::Result<()> {
    stream.set_nodelay(true)?;
    stream.write_all(greeting)?;
    let mut input = BufReader::new(stream.try_clone()?);
    let mut line = Vec::new();
    while input.read_until(b'\n', &mut line)? > 0 {
        match answer(&line) {
            Answer::Bytes(bytes) => stream.write_all(&bytes)?,
            Answer::Nothing => {}
            Answer::Slowly(bytes) => {
                for byte in bytes {
                    stream.write_all(&[byte])?;
                    thread::sleep(Duration::from_millis(1));
                }
            }
            Answer::Last(bytes) => {
                stream.write_all(&bytes)?;
                stream.shutdown(Shutdown::Write)?;
                // Closing with unread bytes would cause a reset.
                hold(stream);
                return Ok(());
            }
            Answer::Endless(bytes) => loop {
                stream.write_all(&bytes)?;
            },
            Answer::Own(act) => {
                act(stream);
                return Ok(());
            }
        }
        line.clear();
    }
    Ok(())
}

/// Sends only `words` on every connection and closes it. Returns the port.
pub fn says_and_leaves(words: &'static [u8]) -> u16 {
    serve(move |mut stream| {
        if stream.write_all(words).and_then(|()| stream.shutdown(Shutdown::Write)).is_ok() {
            hold(stream);
        }
    })
}

/// The same after the first request, when the connection is open for the generator too.
pub fn says_when_asked_and_leaves(words: &'static [u8]) -> u16 {
    serve(move |mut stream| {
        let asked = stream.read(&mut [0]);
        if asked
            .and_then(|_| stream.write_all(words))
            .and_then(|()| stream.shutdown(Shutdown::Write))
            .is_ok()
        {
            hold(stream);
        }
    })
}

/// A counter that the server increments and the test reads.
#[derive(Clone, Default)]
pub struct Counter(Arc<AtomicU64>);

impl Counter {
    /// Increments the counter, and returns its previous value.
    pub fn add(&self) -> u64 {
        self.add_many(1)
    }

    /// Like [`add`](Self::add), for `count` occurrences.
    pub fn add_many(&self, count: u64) -> u64 {
        self.0.fetch_add(count, Ordering::SeqCst)
    }

    pub fn get(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }
}

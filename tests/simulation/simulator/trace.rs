//! The trace of a run: readable lines for a failure, and a hash for comparisons.

use std::fmt;

use tinytcp_core::os::moment::Moment;

/// How many bytes of a message are shown.
const SHOWN_BYTES_MAX: usize = 24;

/// The name of events of listeners, which are left out of the trace of one connection.
pub const LISTENER_EVENT: &str = "event for listener";

/// One line of the trace.
#[derive(Clone, Debug)]
pub struct Entry {
    moment: Moment,
    /// The connection; `None` if the entry is about all connections.
    pub connection: Option<usize>,
    what: &'static str,
    numbers: (usize, usize),
    shown: Vec<u8>,
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "t={:.6}s ", self.moment.since(Moment::START).as_secs_f64())?;
        match self.connection {
            Some(connection) => write!(f, "c{connection} ")?,
            None => f.write_str("-- ")?,
        }
        write!(f, "{} {}", self.what, self.numbers.0)?;
        if self.numbers.1 > 0 {
            write!(f, " of {}", self.numbers.1)?;
        }
        if !self.shown.is_empty() {
            let more = if self.shown.len() == SHOWN_BYTES_MAX { "..." } else { "" };
            write!(f, " b\"{}\"{more}", self.shown.escape_ascii())?;
        }
        Ok(())
    }
}

/// All entries of a run.
#[derive(Debug)]
pub struct Trace {
    entries: Vec<Entry>,
    hash: u64,
}

impl Default for Trace {
    fn default() -> Self {
        Self { entries: Vec::new(), hash: 0xCBF2_9CE4_8422_2325 }
    }
}

impl Trace {
    /// Adds an entry with two numbers (the second is not shown if it is 0) and bytes.
    pub fn note(
        &mut self,
        moment: Moment,
        connection: Option<usize>,
        what: &'static str,
        numbers: (usize, usize),
        bytes: &[u8],
    ) {
        self.mix(moment.since(Moment::START).as_nanos() as u64);
        self.mix(connection.map_or(u64::MAX, |connection| connection as u64));
        self.mix_bytes(what.as_bytes());
        self.mix(numbers.0 as u64);
        self.mix(numbers.1 as u64);
        self.mix_bytes(bytes);
        let shown = bytes[..bytes.len().min(SHOWN_BYTES_MAX)].to_vec();
        self.entries.push(Entry { moment, connection, what, numbers, shown });
    }

    /// A hash of all entries.
    pub fn hash(&self) -> u64 {
        self.hash
    }

    /// Returns the last `count` entries about `connection` and about all connections; without a
    /// connection, the last entries.
    pub fn last(&self, connection: Option<usize>, count: usize) -> Vec<String> {
        let is_about_it = |entry: &Entry| match entry.connection {
            Some(_) => entry.connection == connection,
            None => entry.what != LISTENER_EVENT,
        };
        let is_shown = |entry: &&Entry| connection.is_none() || is_about_it(entry);
        let mut shown: Vec<String> = self
            .entries
            .iter()
            .rev()
            .filter(is_shown)
            .take(count)
            .map(ToString::to_string)
            .collect();
        shown.reverse();
        shown
    }

    fn mix_bytes(&mut self, bytes: &[u8]) {
        self.mix(bytes.len() as u64);
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.mix(u64::from_le_bytes(word));
        }
    }

    /// FNV-1a, eight bytes at a time.
    fn mix(&mut self, word: u64) {
        self.hash = (self.hash ^ word).wrapping_mul(0x0000_0100_0000_01B3).rotate_left(29);
    }
}

//! The log of the server, parsed line by line.

/// What the log has reported so far.
#[derive(Debug, Default, PartialEq)]
pub struct Journal {
    /// Connections opened and closed, and commands. They include the summaries that stand for lines
    /// which the log limit has dropped.
    pub opened: u64,
    pub closed: u64,
    pub commands: u64,
    /// The number of warnings and errors, and the first of them.
    pub complaints: u64,
    pub first_complaints: Vec<String>,
    /// The number of open connections when the server received the stop signal.
    pub open_at_stop: Option<u64>,
    /// The totals in the last line of the server.
    pub totals: Option<Totals>,
}

/// The number of complaints that are kept. All are counted.
const COMPLAINTS_KEPT: usize = 10;

/// The totals that the server reports at its end.
#[derive(Debug, Default, PartialEq)]
pub struct Totals {
    pub connections: u64,
    pub messages: u64,
    pub received_bytes: u64,
    pub sent_bytes: u64,
    /// The most bytes that all buffers have held at one time.
    pub held_bytes_most: u64,
    /// The number of closed connections by reason. The reasons are in the words of the server.
    pub closed: Vec<(String, u64)>,
}

impl Journal {
    /// Parses a line: `2026-11-21T03:28:53.611Z INFO  opened text 127.0.0.1:54384`.
    pub fn note(&mut self, line: &str) {
        let Some((_, entry)) = line.split_once(' ') else { return };
        let Some((level, text)) = entry.split_once(' ') else { return };
        let text = text.trim_start();
        match level {
            "INFO" => self.note_info(text),
            _ => {
                self.complaints += 1;
                if self.first_complaints.len() < COMPLAINTS_KEPT {
                    self.first_complaints.push(line.to_owned());
                }
            }
        }
    }

    fn note_info(&mut self, text: &str) {
        if let Some(sums) = text.strip_prefix("suppressed in the last second: ") {
            self.opened += count(sums, " opened").unwrap_or(0);
            self.commands += count(sums, " message").unwrap_or(0);
            self.closed += count(sums, " closed").unwrap_or(0);
        } else if let Some(open) = text.strip_prefix("stopping with ") {
            self.open_at_stop = count(open, " connection");
        } else if let Some(totals) = text.strip_prefix("stopped: ") {
            self.totals = Totals::parse(totals);
        } else if text.starts_with("opened ") {
            self.opened += 1;
        } else if text.starts_with("closed ") {
            self.closed += 1;
        } else if !text.starts_with("open files: ") && !text.starts_with("tinytcp-server ") {
            self.commands += 1;
        }
    }
}

impl Totals {
    /// Parses `52 connections, 0 rejected, 50 messages, 1 byte in, 9 bytes out, at most 65536 bytes
    /// in buffers; closed: 50 client closed, 2 ...`.
    fn parse(text: &str) -> Option<Self> {
        let (sums, closed) = text.split_once("; closed: ").unwrap_or((text, ""));
        let reasons = closed.split(", ").filter_map(|part| part.split_once(' '));
        Some(Self {
            connections: count(sums, " connection")?,
            messages: count(sums, " message")?,
            received_bytes: count_of_bytes(sums, "in")?,
            sent_bytes: count_of_bytes(sums, "out")?,
            held_bytes_most: count_of_bytes(sums, "in buffers")?,
            closed: reasons
                .filter_map(|(count, reason)| Some((reason.to_owned(), count.parse().ok()?)))
                .collect(),
        })
    }

    /// Returns the number of closed connections.
    pub fn closed_in_all(&self) -> u64 {
        self.closed.iter().map(|(_, count)| count).sum()
    }

    /// Returns the number of connections that were closed for `reason`.
    pub fn closed_for(&self, reason: &str) -> u64 {
        self.closed.iter().find(|(name, _)| name == reason).map_or(0, |(_, count)| *count)
    }
}

/// Returns the number of the part `1 byte in` or `2 bytes in` of a list.
fn count_of_bytes(text: &str, place: &str) -> Option<u64> {
    let suffixes = [format!(" byte {place}"), format!(" bytes {place}")];
    let mut parts = text
        .split(", ")
        .flat_map(|part| suffixes.iter().filter_map(|suffix| part.strip_suffix(suffix.as_str())));
    parts.next()?.rsplit(' ').next()?.parse().ok()
}

/// Returns the number before `unit`, which is the stem of a noun.
fn count(text: &str, unit: &str) -> Option<u64> {
    let (before, _) = text.split_once(unit)?;
    before.rsplit(' ').next()?.parse().ok()
}

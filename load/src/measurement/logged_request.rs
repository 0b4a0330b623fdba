//! Single requests, for a log of them.

use std::time::Duration;

use super::causes::ReplyError;

/// A request that was answered or failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoggedRequest {
    /// When it was answered or failed, after the start of the load.
    pub end: Duration,
    /// The number of its connection among the requested ones, from 0.
    pub connection: usize,
    /// Its number in the run, from 0.
    pub number: u64,
    /// Time since the system call that sent it.
    pub from_send: Duration,
    /// Time since it was due; `None` without a schedule.
    pub from_schedule: Option<Duration>,
    /// `None` for a correct reply.
    pub error: Option<ReplyError>,
}

/// The requests of a thread since its last report.
#[derive(Debug, Default)]
pub struct RequestLog {
    /// The requests.
    pub requests: Vec<LoggedRequest>,
    /// Number of requests that did not fit.
    pub skipped: u64,
    /// How many requests still fit.
    room: u64,
}

impl RequestLog {
    /// Creates a log with room for this number of requests.
    #[must_use]
    pub fn with_room(room: u64) -> Self {
        Self { room, ..Self::default() }
    }

    /// Adds a request, if there is room.
    pub fn push(&mut self, request: LoggedRequest) {
        if self.room > 0 {
            self.room -= 1;
            self.requests.push(request);
        } else {
            self.skipped += 1;
        }
    }

    /// Removes and returns the requests so far; the room stays used.
    #[must_use]
    pub fn take(&mut self) -> Self {
        let rest = Self::with_room(self.room);
        std::mem::replace(self, rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_keeps_its_first_requests_only() {
        let mut log = RequestLog::with_room(3);
        let request = |number| LoggedRequest {
            end: Duration::ZERO,
            connection: 0,
            number,
            from_send: Duration::ZERO,
            from_schedule: None,
            error: None,
        };
        (0..2).for_each(|number| log.push(request(number)));
        assert_eq!(log.take().requests.len(), 2);
        (2..5).for_each(|number| log.push(request(number)));
        let rest = log.take();
        assert_eq!((rest.requests, rest.skipped), (vec![request(2)], 2));
    }
}

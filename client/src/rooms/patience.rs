//! How long `listen` waits for the server, and what a silence means.

use std::time::{Duration, Instant};

/// The time in which news that came before the end of a run is still taken after it.
const LATE_NEWS_MAX: Duration = Duration::from_secs(1);

/// The deadlines of a connection. The caller states the time of each event.
#[derive(Debug)]
pub struct Patience {
    /// The silence after which the client asks for an answer.
    keep_alive: Duration,
    /// The longest silence of the server while an answer is due.
    answer_max: Duration,
    /// The time at which the run is over.
    end: Option<Instant>,
    /// The end of the present silence.
    silent_until: Instant,
    answer_is_due: bool,
    /// After the end, the time until which late news is taken.
    late_until: Option<Instant>,
}

/// What a silence until [`Patience::until`] means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Silence {
    /// The run is over.
    Over,
    /// The client has to ask for an answer.
    Idle,
    /// The server is gone.
    Gone,
}

impl Patience {
    /// The deadlines of a connection on which nothing is due at `now`.
    pub fn new(
        now: Instant,
        keep_alive: Duration,
        answer_max: Duration,
        end: Option<Instant>,
    ) -> Self {
        let silent_until = now + keep_alive;
        Self { keep_alive, answer_max, end, silent_until, answer_is_due: false, late_until: None }
    }

    /// The time until which to wait.
    pub fn until(&self) -> Instant {
        self.end.map_or(self.silent_until, |end| end.min(self.silent_until))
    }

    /// Notes news. Returns true if the run is over: a room that never falls silent cannot prolong
    /// it.
    pub fn note_news(&mut self, now: Instant) -> bool {
        // An answer may wait behind news, and the reader of stdout may delay both.
        let silence_max = if self.answer_is_due { self.answer_max } else { self.keep_alive };
        self.silent_until = now + silence_max;
        self.end.is_some_and(|end| now >= end)
            && now >= *self.late_until.get_or_insert(now + LATE_NEWS_MAX)
    }

    /// Notes that the client has asked for an answer.
    pub fn note_request(&mut self, now: Instant) {
        self.answer_is_due = true;
        self.silent_until = now + self.answer_max;
    }

    /// Notes an answer.
    pub fn note_answer(&mut self, now: Instant) {
        self.answer_is_due = false;
        self.silent_until = now + self.keep_alive;
    }

    /// Returns what it means that nothing came until now.
    pub fn judge_silence(&self, now: Instant) -> Silence {
        match self.end.is_some_and(|end| now >= end) {
            true => Silence::Over,
            false if self.answer_is_due => Silence::Gone,
            false => Silence::Idle,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// Asks after 20 s, and waits 5 s for the answer.
    fn patience(now: Instant, end: Option<Instant>) -> Patience {
        Patience::new(now, SECOND * 20, SECOND * 5, end)
    }

    #[test]
    fn a_request_follows_a_silence_and_a_silence_after_it_is_the_end() {
        let start = Instant::now();
        let mut patience = patience(start, None);
        let asked = start + SECOND * 20;
        assert_eq!((patience.until(), patience.judge_silence(asked)), (asked, Silence::Idle));
        patience.note_request(asked);
        let late = asked + SECOND * 5;
        assert_eq!((patience.until(), patience.judge_silence(late)), (late, Silence::Gone));
        patience.note_answer(late);
        assert_eq!(patience.until(), late + SECOND * 20);
    }

    #[test]
    fn news_before_the_answer_puts_its_deadline_off() {
        let start = Instant::now();
        let mut patience = patience(start, None);
        patience.note_request(start);
        for seconds in [4, 8, 12] {
            let now = start + SECOND * seconds;
            assert!(!patience.note_news(now));
            assert_eq!(patience.until(), now + SECOND * 5);
        }
    }

    #[test]
    fn a_run_ends_at_its_time_in_a_silent_room_and_in_a_busy_one() {
        let start = Instant::now();
        let end = start + SECOND * 3;
        let mut patience = patience(start, Some(end));
        assert!(!patience.note_news(start + SECOND));
        assert_eq!((patience.until(), patience.judge_silence(end)), (end, Silence::Over));
        assert!(!patience.note_news(end + SECOND * 60), "it may have come while nothing ran");
        assert!(!patience.note_news(end + SECOND * 60));
        assert!(patience.note_news(end + SECOND * 61));
    }
}

//! The faults of a broker, and the messages of other servers.

use std::collections::VecDeque;
use std::time::Duration;

use tinytcp_core::os::moment::Moment;

use super::super::choices::Choices;
use super::operations::payload;

/// The number of another server on the bus.
const OTHER_ORIGIN: u64 = 7;

/// A plan.
pub struct Plan {
    /// The longest delay before the broker reads or sends.
    pub latency_max: Duration,
    troubles: VecDeque<(Moment, Trouble)>,
    messages: VecDeque<(Moment, Elsewhere)>,
}

/// A fault of the broker.
#[derive(Clone, Copy, Debug)]
pub enum Trouble {
    /// Its link is cut: it neither reads nor sends, and no event reports that.
    Silence,
    /// It resets the connection, and is away for this time.
    Reset(Duration),
    /// It ends the connection in order, and is away for this time.
    End(Duration),
}

/// A message of another server.
pub struct Elsewhere {
    pub room: &'static str,
    name: &'static str,
    text: String,
}

impl Elsewhere {
    pub fn payload(&self) -> String {
        match self.name {
            "operator" => self.text.clone(),
            name => payload(OTHER_ORIGIN, name, &self.text),
        }
    }
}

impl Plan {
    /// Chooses a plan.
    pub fn choose(choices: &mut Choices) -> Self {
        let latency_max = Duration::from_millis(choices.pick(&[0, 1, 30, 300]));
        let spread = Duration::from_millis(choices.pick(&[50, 500, 4000]));
        let mut at = Moment::START;
        let messages = (0..choices.below(200)).map(|number| {
            at = at.after(choices.duration(spread / 50));
            let rest = "y".repeat(choices.len(1500));
            let elsewhere = Elsewhere {
                room: choices.pick(&["tea", "tea", "pot"]),
                name: choices.pick(&["zoe", "ann", "operator"]),
                text: format!("{number}{rest}"),
            };
            (at, elsewhere)
        });
        let messages = messages.collect();
        let mut at = Moment::START;
        let troubles = (0..choices.below(4)).map(|_| {
            at = at.after(choices.duration(spread));
            let away = choices.duration(Duration::from_secs(2));
            (at, choices.pick(&[Trouble::Reset(away), Trouble::End(away), Trouble::Silence]))
        });
        let troubles = troubles.collect();
        Self { latency_max, troubles, messages }
    }

    /// When the next trouble or message is due.
    pub fn next_at(&self) -> Moment {
        let trouble = self.troubles.front().map_or(Moment::NEVER, |it| it.0);
        self.messages.front().map_or(Moment::NEVER, |it| it.0).min(trouble)
    }

    /// Returns the next trouble that is due.
    pub fn next_trouble(&mut self, now: Moment) -> Option<Trouble> {
        self.troubles.pop_front_if(|(at, _)| *at <= now).map(|(_, trouble)| trouble)
    }

    /// Returns the next message that is due.
    pub fn next_message(&mut self, now: Moment) -> Option<Elsewhere> {
        self.messages.pop_front_if(|(at, _)| *at <= now).map(|(_, message)| message)
    }
}

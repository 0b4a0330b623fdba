//! Reloads: settings that change while the server runs.
//!
//! The limits of messages stay: the oracle judges a message when its bytes are read, the server
//! when it runs them. Unit tests of the loop change these limits.

use std::time::Duration;

use tinytcp_core::limits::Settings;
use tinytcp_core::os::mailbox::Mail;
use tinytcp_core::os::system::Event;

use super::choices::Choices;
use super::coverage::Behaviour;
use super::network::Network;

/// The round before which a reload is requested, and its settings.
pub type Reload = (u64, Settings);

/// Chooses the reloads of a run, in the order of their rounds: none in most runs.
pub fn choose(settings: Settings, choices: &mut Choices) -> Vec<Reload> {
    let count = if choices.chance(300) { 1 + choices.below(4) } else { 0 };
    let mut round = 0;
    let reload = |_| {
        round += 1 + choices.below(40) as u64;
        let mut milliseconds =
            |of: &[u64]| (!choices.chance(40)).then(|| Duration::from_millis(choices.pick(of)));
        let mut settings = settings;
        settings.timeouts = settings
            .timeouts
            .with_idle(milliseconds(&[300_000, 50, 3000]))
            .with_message(milliseconds(&[30_000, 40, 2000]))
            .with_write(milliseconds(&[30_000, 60, 3000]))
            .with_quiet(milliseconds(&[20, 5, 1000]));
        settings.connections_max = choices.pick(&[1000, 1, 3]);
        settings.rejected_max = choices.pick(&[256, 0, 2]);
        settings.activity_lines_max = choices.chance(500).then_some(50);
        (round, settings)
    };
    (0..count).map(reload).collect()
}

impl Network {
    /// The present settings of the server.
    pub fn settings(&self) -> &Settings {
        &self.plan.config.settings
    }

    /// Appends the request for a reload that is due, if there is one.
    pub fn request_reload(&mut self, events: &mut Vec<Event>) {
        let is_due = |(round, _): &Reload| *round <= self.rounds;
        if self.plan.reloads.first().is_some_and(is_due) {
            let (_, settings) = self.plan.reloads.remove(0);
            events.push(Event::Mail(Mail::Reload(Box::new(settings))));
        }
    }

    /// Notes that the server gets `settings`.
    pub fn note_reload(&mut self, settings: &Settings) {
        self.trace.note(self.now, None, "settings are reloaded", (0, 0), b"");
        if !self.open_ids().is_empty() {
            self.cover(Behaviour::Reload);
        }
        if self.served_ids().len() > settings.connections_max {
            self.cover(Behaviour::OverLimit);
        }
        self.plan.config.settings = *settings;
    }
}

//! What one run is made of: the server's limits and timeouts, small or large, and how long which
//! part takes.

use std::time::Duration;

use tinytcp_core::limits::{Limits, Timeouts};
use tinytcp_core::os::moment::Moment;
use tinytcp_core::server::Config;

use super::choices::Choices;
use super::oracle::{Bounds, LANGUAGES, Language};

/// What one run is made of.
pub struct Plan {
    pub config: Config,
    /// What is spoken at each listener.
    pub languages: Vec<Language>,
    /// How many connections the server has descriptors for.
    pub descriptors_max: usize,
    /// When the network begins to behave.
    pub calm_at: Moment,
    /// And in which round at the latest: where events about nothing are many, time hardly passes.
    pub calm_round: u64,
    /// When the server is told to stop; without this, when all peers are gone.
    pub stop_at: Option<Moment>,
    /// How much longer it may be told once more.
    pub second_stop_after: Option<Duration>,
}

impl Plan {
    /// The plan that `choices` make.
    pub fn new(choices: &mut Choices) -> Self {
        let milliseconds = |choices: &mut Choices, of: &[u64]| {
            let is_off = choices.chance(40);
            (!is_off).then(|| Duration::from_millis(choices.pick(of)))
        };
        let is_memory_short = choices.chance(60);
        let is_crowded = !is_memory_short && choices.chance(200);
        let config = Config {
            connections_max: if is_crowded { 1 + choices.below(5) } else { 1000 },
            rejected_max: if choices.chance(200) { choices.below(4) } else { 256 },
            backlog: 64,
            limits: Limits {
                line_bytes_max: if is_memory_short {
                    65_536
                } else {
                    choices.pick(&[100, 16, 5000, 65_536])
                },
                frame_bytes_max: if is_memory_short {
                    200_000
                } else {
                    choices.pick(&[100, 16, 5000, 70_000, 1 << 20])
                },
                memory_bytes_max: if is_memory_short {
                    Limits::MEMORY_BYTES_MIN
                } else {
                    256 << 20
                },
            },
            timeouts: Timeouts {
                idle: milliseconds(choices, &[300_000, 200, 3000]),
                message: milliseconds(choices, &[30_000, 100, 2000]),
                write: milliseconds(choices, &[30_000, 150, 3000]),
                quiet: milliseconds(choices, &[20, 5, 1000]),
                drain: milliseconds(choices, &[5000, 50, 1000]),
            },
            activity_lines_max: if choices.chance(500) { Some(50) } else { None },
            ..Config::default()
        };
        let mut languages = LANGUAGES.to_vec();
        choices.shuffle(&mut languages);
        languages.truncate(1 + choices.below(languages.len()));
        let stops_early = choices.chance(300);
        Self {
            config,
            languages,
            descriptors_max: if !is_memory_short && choices.chance(200) {
                1 + choices.below(6)
            } else {
                usize::MAX
            },
            calm_at: Moment::START.after(choices.duration(Duration::from_secs(20))),
            calm_round: 20 + choices.below(500) as u64,
            stop_at: stops_early
                .then(|| Moment::START.after(choices.duration(Duration::from_secs(10)))),
            second_stop_after: choices
                .chance(200)
                .then(|| choices.duration(Duration::from_secs(2))),
        }
    }

    /// What the oracle needs to know.
    pub fn bounds(&self) -> Bounds {
        let Limits { line_bytes_max, frame_bytes_max, .. } = self.config.limits;
        Bounds {
            line_max: line_bytes_max as usize,
            frame_max: frame_bytes_max as usize,
            is_memory_short: self.is_memory_short(),
        }
    }

    /// True exactly when what the peers of a run send may pass the memory limit.
    pub fn is_memory_short(&self) -> bool {
        self.config.limits.memory_bytes_max < 16 << 20
    }

    /// True exactly when a timeout is off, so that somebody may have to be waited for until it
    /// leaves by itself.
    pub fn has_endless_waits(&self) -> bool {
        let Timeouts { idle, message, write, quiet, drain } = self.config.timeouts;
        [idle, message, write, quiet, drain].contains(&None)
    }

    /// By when everybody is gone who can be sent away by a deadline, once the network behaves: each
    /// of them once and once again, and what the peers themselves take their time for.
    pub fn horizon(&self) -> Duration {
        let Timeouts { idle, message, write, .. } = self.config.timeouts;
        [idle, message, write].into_iter().flatten().sum::<Duration>() * 4
            + Duration::from_secs(600)
    }
}

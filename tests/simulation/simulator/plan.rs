//! The plan of a run: the limits and timeouts of the server, and the times of its parts.

use std::time::Duration;

use tinytcp_core::limits::{Limits, Settings, Timeouts};
use tinytcp_core::os::moment::Moment;
use tinytcp_core::server::Config;
use tinytcp_core::tls::TlsSettings;

use super::addresses;
use super::broker;
use super::choices::Choices;
use super::oracle::{Bounds, LANGUAGES, Language};
use super::reloads::{self, Reload};
use super::tls::{self, Security};

/// The longest delay of a flood, at the lowest message rate.
const DELAYS: Duration = Duration::from_secs(10_000);

/// The plan of a run.
pub struct Plan {
    pub config: Config,
    /// The protocol of each listener.
    pub languages: Vec<Language>,
    /// True for each listener whose connections begin with the header of a proxy.
    pub for_proxies: Vec<bool>,
    /// True for each listener whose connections begin with a handshake.
    encrypted: Vec<bool>,
    /// The settings of encrypted connections, if there are any.
    security: Option<Security>,
    /// The places of the listener for `http`, if there is one: the last listener.
    pub admin_places: Option<usize>,
    /// For how many connections the server has descriptors.
    pub descriptors_max: usize,
    /// When the faults end.
    pub calm_at: Moment,
    /// The last round with faults: with many spurious events, time hardly passes.
    pub calm_round: u64,
    /// When the server gets a request to stop; `None` if that is after all clients have left.
    pub stop_at: Option<Moment>,
    /// The time from the first request to a second one.
    pub second_stop_after: Option<Duration>,
    /// True if most of the clients join rooms.
    pub has_rooms: bool,
    /// True if there are more of them than one portion of a wave.
    pub has_crowd: bool,
    /// The faults of the broker, if rooms are shared with other servers.
    pub broker: Option<broker::Plan>,
    /// The reloads to come.
    pub reloads: Vec<Reload>,
}

impl Plan {
    /// Chooses a plan.
    pub fn new(choices: &mut Choices) -> Self {
        let milliseconds = |choices: &mut Choices, of: &[u64]| {
            let is_off = choices.chance(40);
            (!is_off).then(|| Duration::from_millis(choices.pick(of)))
        };
        let is_memory_short = choices.chance(60);
        let is_crowded = !is_memory_short && choices.chance(200);
        let mut settings = Settings::default();
        settings.connections_max = if is_crowded { 1 + choices.below(5) } else { 1000 };
        settings.rejected_max = if choices.chance(200) { choices.below(4) } else { 256 };
        settings.limits = match is_memory_short {
            true => Limits::default()
                .with_line_bytes_max(65_536)
                .with_frame_bytes_max(200_000)
                .with_memory_bytes_max(Limits::MEMORY_BYTES_MIN),
            false => Limits::default()
                .with_line_bytes_max(choices.pick(&[100, 16, 5000, 65_536]))
                .with_frame_bytes_max(choices.pick(&[100, 16, 5000, 70_000, 1 << 20])),
        };
        settings.timeouts = Timeouts::default()
            .with_idle(milliseconds(choices, &[300_000, 200, 3000]))
            .with_message(milliseconds(choices, &[30_000, 100, 2000]))
            .with_write(milliseconds(choices, &[30_000, 150, 3000]))
            .with_proxy_header(milliseconds(choices, &[3000, 100, 500]))
            .with_quiet(milliseconds(choices, &[20, 5, 1000]))
            // Without a delay, a drain lasts until the stop of the plan.
            .with_drain_delay(choices.chance(500).then(|| choices.duration(Duration::from_secs(2))))
            .with_drain(milliseconds(choices, &[5000, 50, 1000]));
        settings.activity_lines_max = if choices.chance(500) { Some(50) } else { None };
        let mut languages = LANGUAGES.to_vec();
        choices.shuffle(&mut languages);
        languages.truncate(1 + choices.below(languages.len()));
        let mut for_proxies: Vec<bool> = languages.iter().map(|_| choices.chance(250)).collect();
        let stops_early = choices.chance(300);
        // From a copy: the other choices are the same in worlds with and without these.
        let mut copy = choices.clone();
        if !is_memory_short {
            settings.limits = addresses::limit(settings.limits, &mut copy);
        }
        let has_admin = !is_memory_short && copy.chance(200);
        let admin_places = has_admin.then(|| copy.pick(&[16, 1, 3]));
        if has_admin {
            languages.push(Language::Admin);
            for_proxies.push(false);
        }
        let has_rooms = !is_memory_short && copy.chance(300);
        let has_crowd = has_rooms && copy.chance(300);
        settings.limits = settings.limits.with_say_rate_max(None);
        if has_rooms {
            let ring = copy.pick(&[1000, 5000, 20_000, 1 << 20]);
            settings.limits = settings.limits.with_room_memory_bytes_max(ring);
        }
        if has_rooms && copy.chance(300) {
            let (rooms, members) = (copy.pick(&[64, 1]), copy.pick(&[40, 1, 2]));
            settings.limits = settings.limits.with_rooms_max(rooms).with_room_members_max(members);
        }
        if has_crowd {
            settings.connections_max = 1000;
        }
        let mut reloads = reloads::choose(settings, &mut copy);
        let has_tls = !is_memory_short && copy.chance(250);
        let encrypted: Vec<bool> = languages
            .iter()
            .map(|language| has_tls && *language != Language::Admin && copy.chance(700))
            .collect();
        settings.timeouts = settings
            .timeouts
            .with_handshake(copy.pick(&[5000, 100, 1000].map(Duration::from_millis).map(Some)));
        let security = has_tls.then(|| {
            tls::seed(copy.below(1 << 32) as u64);
            Security::new()
        });
        // With a bus there is always a next event, which would hide that a client waits for ever.
        let has_bus = has_rooms && !has_endless_waits(&settings.timeouts) && copy.chance(400);
        let mut config = Config::from(settings);
        config.backlog = 64;
        let broker = has_bus.then(|| {
            reloads.clear();
            config.bus = Some(broker::settings());
            broker::Plan::choose(&mut copy)
        });
        Self {
            config,
            languages,
            for_proxies,
            encrypted,
            security,
            admin_places,
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
            has_rooms,
            has_crowd,
            broker,
            reloads,
        }
    }

    /// The settings of an encrypted listener.
    pub fn security(&self, listener: usize) -> Option<&Security> {
        self.security.as_ref().filter(|_| self.encrypted[listener])
    }

    /// What the server needs for an encrypted listener.
    pub fn settings_of_tls(&self, listener: usize) -> Option<TlsSettings> {
        self.security(listener).map(|security| security.server.clone())
    }

    /// The bounds for the oracle.
    pub fn bounds(&self) -> Bounds {
        let Limits { line_bytes_max, frame_bytes_max, .. } = self.config.settings.limits;
        Bounds {
            line_max: line_bytes_max as usize,
            frame_max: frame_bytes_max as usize,
            is_memory_short: self.is_memory_short(),
        }
    }

    /// True if the clients can exceed the memory limit.
    pub fn is_memory_short(&self) -> bool {
        self.config.settings.limits.memory_bytes_max < 16 << 20
    }

    /// True if a timeout is off, so that the server may wait for a client until it leaves.
    pub fn has_endless_waits(&self) -> bool {
        has_endless_waits(&self.config.settings.timeouts)
    }

    /// The time after the end of the faults within which all connections end: each timeout several
    /// times, the pauses of the clients, and their delays.
    pub fn horizon(&self) -> Duration {
        let Timeouts { idle, message, write, proxy_header, handshake, .. } =
            self.config.settings.timeouts;
        let delays =
            self.config.settings.limits.address_message_rate_max.map_or(Duration::ZERO, |_| DELAYS);
        [idle, message, write, proxy_header, handshake].into_iter().flatten().sum::<Duration>() * 4
            + Duration::from_secs(600)
            + delays
    }
}

fn has_endless_waits(timeouts: &Timeouts) -> bool {
    let Timeouts { idle, message, write, quiet, drain, proxy_header, .. } = *timeouts;
    [idle, message, write, quiet, drain, proxy_header].contains(&None)
}

//! Handmade outcomes for the tests of verdicts and reports.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tinytcp_core::os::endpoint::Endpoint;

use crate::measurement::causes::{ConnectError, ConnectionEnd, ReplyError};
use crate::measurement::counts::Counts;
use crate::measurement::latency::Latency;
use crate::measurement::outcome::{RunOutcome, Slice};
use crate::measurement::settings::{Arrivals, Opening, Pace, RunSettings, ServerTarget};
use crate::traffic::messages::message::{ExpectedReply, Framing, ScriptMessage};
use crate::traffic::plan::Plan;
use crate::traffic::script::RunScript;
use crate::traffic::script::constant::Script;

/// An [`RunOutcome`] under construction, at first without any failure.
pub(super) struct OutcomeBuilder(RunOutcome);

/// Ten connections, a closed loop, ten seconds in ten slices, and 100,000 correct replies with
/// latencies of 100 us to 1 ms.
pub(super) fn closed() -> OutcomeBuilder {
    let settings = RunSettings {
        target: ServerTarget { name: "text://127.0.0.1:40000".into(), is_unix: false },
        protocol: "text".into(),
        messages: "ECHO of 17 bytes".into(),
        typed: "-c 10 -d 11s".into(),
        connections: 10,
        depth: 1,
        threads: 1,
        duration: Duration::from_secs(11),
        warmup: Duration::from_secs(1),
        timeout: Duration::from_secs(5),
        pace: Pace::Closed,
        stages: Vec::new(),
        arrivals: Arrivals::Even,
        think: Duration::ZERO,
        requests: None,
        seed: None,
        request_bytes: 23,
        tls: None,
    };
    let mut replies = Latency::default();
    (1..=10).for_each(|step| replies.record(Duration::from_micros(step * 100), 1_000));
    let slice = |start| Slice {
        start: Duration::from_secs(start),
        length: Duration::from_secs(1),
        sent: 10_000,
        correct: 10_000,
        errors: 0,
        open: 10,
        latency: replies.clone(),
        handshake: Latency::default(),
    };
    let slices: Vec<Slice> = (0..10).map(slice).collect();
    let mut total = Counts {
        connects: 10,
        opened: 10,
        sent: 100_000,
        sent_bytes: 2_300_000,
        correct: 100_000,
        received_bytes: 2_300_000,
        cpu: Duration::from_secs(3),
        ..Counts::default()
    };
    slices.iter().for_each(|slice| total.from_send.merge(&slice.latency));
    total.connect.record(Duration::from_micros(80), 10);
    total.first_byte.record(Duration::from_micros(160), 10);
    total.lag.record(Duration::from_micros(20), 100_000);
    OutcomeBuilder(RunOutcome {
        settings,
        opening: Opening::AtOnce,
        lifetime: None,
        started: SystemTime::UNIX_EPOCH + Duration::from_secs(1_757_715_853),
        counted: Duration::from_secs(10),
        cores: 1,
        total,
        slices,
        reached: 10,
        open_most: 10,
        open_last: 10,
        addresses: Vec::new(),
        server_gone: None,
        interrupted_by: None,
    })
}

/// The same with a schedule of 10,000 requests per second.
pub(super) fn open() -> OutcomeBuilder {
    let mut sample =
        closed().settings(|settings| settings.pace = Pace::Open { from: 10_000.0, to: 10_000.0 });
    sample.0.total.from_schedule = sample.0.total.from_send.clone();
    sample
}

/// A run in which no connection opened, because of `error`.
pub(super) fn nothing(error: ConnectError) -> OutcomeBuilder {
    closed().change(|outcome| {
        outcome.total = Counts { connects: 10, ..Counts::default() };
        outcome.total.connect_errors.add(error, 10);
        for slice in &mut outcome.slices {
            (slice.sent, slice.correct, slice.open) = (0, 0, 0);
            slice.latency = Latency::default();
        }
        (outcome.reached, outcome.open_most, outcome.open_last) = (0, 0, 0);
    })
}

impl OutcomeBuilder {
    pub(super) fn change(mut self, change: impl FnOnce(&mut RunOutcome)) -> Self {
        change(&mut self.0);
        self
    }

    pub(super) fn settings(self, change: impl FnOnce(&mut RunSettings)) -> Self {
        self.change(|outcome| change(&mut outcome.settings))
    }

    pub(super) fn total(self, change: impl FnOnce(&mut Counts)) -> Self {
        self.change(|outcome| change(&mut outcome.total))
    }

    pub(super) fn errors(self, error: ReplyError, count: u64) -> Self {
        self.change(|outcome| {
            outcome.total.errors.add(error, count);
            if let Some(last) = outcome.slices.last_mut() {
                last.errors += count;
            }
        })
    }

    pub(super) fn failed(self, error: ConnectError, count: u64) -> Self {
        self.total(|total| total.connect_errors.add(error, count))
    }

    pub(super) fn ended(self, ending: ConnectionEnd, count: u64) -> Self {
        self.total(|total| total.endings.add(ending, count))
    }

    pub(super) fn done(self) -> RunOutcome {
        self.0
    }
}

/// The plan of [`closed`], with other numbers of connections and threads.
pub(super) fn plan(connections: usize, threads: usize, opening: Opening) -> Plan {
    let message =
        ScriptMessage { request: vec![b'x'; 1000], reply: ExpectedReply::Exact(vec![b'x'; 1000]) };
    let settings = closed().settings(|settings| {
        (settings.connections, settings.threads, settings.request_bytes) =
            (connections, threads, 1000)
    });
    Plan {
        settings: settings.done().settings,
        endpoints: vec![Endpoint::Tcp(([127, 0, 0, 1], 40000).into())],
        script: RunScript::Constant(Arc::new(
            Script::new(&[message], 16, b"", Framing::Unknown).expect("a message"),
        )),
        opening,
        lifetime: None,
        sources: Vec::new(),
        reset: false,
        proxy_header: None,
        tls: None,
        is_spread: false,
        logged_requests: None,
    }
}

//! The workload of a command line: the server, the messages with the expected replies, and the plan
//! of a run.

use std::net::{IpAddr, SocketAddr};
use std::process;
use std::time::{Duration, SystemTime};

use tinytcp_cli::address::{Place, parse_url};
use tinytcp_cli::target::{ProtocolName, Target};
use tinytcp_core::os::endpoint::Endpoint;

use super::arguments::Arguments;
use super::rates::Stages;
use crate::error::{LoadError, UsageError};
use crate::measurement::format::plural;
use crate::measurement::settings::{Arrivals, Opening, Pace, RunSettings, ServerTarget};
use crate::traffic::message::{ExpectedReply, Framing, ScriptMessage};
use crate::traffic::plan::Plan;
use crate::traffic::script::{self, Script};
use crate::traffic::{mix, protocols, raw};

/// Default duration of a run.
const DURATION: Duration = Duration::from_secs(10);

/// Default duration of each measurement of a search.
const SEARCH_DURATION: Duration = Duration::from_secs(3);

/// Longest duration of a run of a given number of requests.
const COUNTED_DURATION: Duration = Duration::from_secs(600);

/// The server, the messages and the expected replies.
#[derive(Debug)]
pub struct Workload {
    /// The server as reports name it.
    target: String,
    place: Place,
    protocol: &'static str,
    /// The messages as reports name them.
    description: String,
    messages: Vec<ScriptMessage>,
    greeting: Vec<u8>,
    framing: Framing,
    /// The same for all runs of a search.
    seed: Option<u32>,
}

impl Workload {
    /// Returns the workload of a command line.
    ///
    /// # Errors
    /// Fails with a sentence about an invalid target or message.
    pub fn of(arguments: &Arguments) -> Result<Self, UsageError> {
        let is_raw = |word: &String| word.starts_with("tcp://") || word.starts_with("tcp+unix://");
        if arguments.raw || arguments.words.first().is_some_and(is_raw) {
            return Self::raw(arguments);
        }
        let target = Target::from_words(&arguments.words, arguments.protocol)?;
        let protocol = target.protocol;
        let parse = |text: &str| protocols::message(protocol, text);
        let messages = match &arguments.mix {
            Some(weighted) => mix::mix(weighted, parse)?,
            None if arguments.message.is_empty() => numbered(protocol, arguments)?,
            None => arguments.message.iter().map(|text| parse(text)).collect::<Result<_, _>>()?,
        };
        let default = match protocol {
            ProtocolName::Text | ProtocolName::Binary => {
                format!("ECHO of {}", plural(arguments.size as u64, "byte"))
            }
            ProtocolName::Echo | ProtocolName::Chat => {
                format!("messages of {}", plural(arguments.size as u64, "byte"))
            }
        };
        Ok(Self {
            target: target.to_string(),
            protocol: protocol.name(),
            description: description(arguments).unwrap_or(default),
            messages,
            greeting: protocols::greeting(protocol).to_vec(),
            framing: protocols::framing(protocol),
            seed: seed(arguments),
            place: target.place,
        })
    }

    fn raw(arguments: &Arguments) -> Result<Self, UsageError> {
        if !arguments.raw {
            return Err("tcp:// names no protocol: add --raw, -m and --expect".into());
        }
        let place = raw_place(&arguments.words)?;
        let expected = RawExpectation::of(arguments)?;
        let parse = |text: &str| raw::unescape(text).map(|request| expected.message(request));
        let messages = match &arguments.mix {
            Some(weighted) => mix::mix(weighted, parse)?,
            None => arguments.message.iter().map(|text| parse(text)).collect::<Result<_, _>>()?,
        };
        if messages.is_empty() {
            return Err(
                r"--raw needs the bytes to send, as in -m 'PING\r\n' --expect '+PONG\r\n'".into()
            );
        }
        let greeting = arguments.greeting.as_deref().map_or(Ok(Vec::new()), raw::unescape)?;
        Ok(Self {
            target: format!("tcp{}://{place}", place.scheme_suffix()),
            place,
            protocol: "raw",
            description: description(arguments).unwrap_or_default(),
            framing: raw::raw_framing(&messages),
            messages,
            greeting,
            seed: seed(arguments),
        })
    }

    /// Resolves the server's name to its addresses.
    ///
    /// # Errors
    /// Fails if the host has no address.
    pub fn resolve(&self) -> Result<Vec<Endpoint>, LoadError> {
        let endpoints = self.place.resolve().unwrap_or_default();
        if endpoints.is_empty() {
            return Err(LoadError::UnknownHost(self.target.clone()));
        }
        Ok(endpoints)
    }

    /// Returns the plan of a run on `endpoints` at `pace`.
    ///
    /// # Errors
    /// Fails with a sentence about arguments that do not fit together.
    pub fn plan(
        &self,
        arguments: &Arguments,
        endpoints: Vec<Endpoint>,
        pace: Pace,
    ) -> Result<Plan, UsageError> {
        let stages = arguments.stages.clone().map_or(Vec::new(), |stages| stages.0);
        let duration = duration(arguments);
        let warmup = arguments.warmup.unwrap_or(Duration::ZERO);
        if warmup >= duration {
            return Err("--warmup leaves no time to measure: make it shorter than -d".into());
        }
        if arguments.reset && matches!(self.place, Place::Unix(_)) {
            return Err("--reset is for TCP: leave it out, a unix socket keeps no port".into());
        }
        let sources = arguments.source.clone().map_or(Vec::new(), |sources| sources.0);
        Ok(Plan {
            settings: RunSettings {
                target: ServerTarget {
                    name: self.target.clone(),
                    is_unix: matches!(self.place, Place::Unix(_)),
                },
                protocol: self.protocol.into(),
                messages: self.description.clone(),
                connections: arguments.connections,
                depth: arguments.pipeline,
                threads: arguments.threads.min(arguments.connections),
                duration,
                warmup,
                timeout: arguments.timeout,
                pace,
                stages,
                arrivals: arguments.arrivals.into(),
                think: arguments.think.unwrap_or(Duration::ZERO),
                requests: arguments.requests.map(|count| count as u64),
                seed: self.seed,
                request_bytes: self
                    .messages
                    .iter()
                    .map(|message| message.request.len())
                    .min()
                    .unwrap_or(0),
            },
            endpoints: reachable(endpoints, &sources)?,
            script: Script::new(&self.messages, arguments.pipeline, &self.greeting, self.framing)?,
            opening: match (arguments.ramp, arguments.connect_rate) {
                (Some(ramp), _) => Opening::Rate(arguments.connections as f64 / ramp.as_secs_f64()),
                (None, Some(rate)) => Opening::Rate(rate as f64),
                (None, None) => Opening::AtOnce,
            },
            lifetime: arguments.lifetime,
            sources,
            reset: arguments.reset,
            proxy_header: arguments.proxy_header,
        })
    }
}

/// Returns how long requests are sent, at most.
fn duration(arguments: &Arguments) -> Duration {
    let of_stages = arguments.stages.as_ref().map(Stages::length);
    of_stages.or(arguments.duration).unwrap_or(match (&arguments.find_max, arguments.requests) {
        (Some(_), _) => SEARCH_DURATION,
        (None, Some(_)) => COUNTED_DURATION,
        (None, None) => DURATION,
    })
}

/// Returns the seed of a run in which anything is random: the one of the command line, or one of
/// this moment.
fn seed(arguments: &Arguments) -> Option<u32> {
    let of_this_moment = || {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        now.subsec_nanos() ^ process::id()
    };
    (Arrivals::from(arguments.arrivals) == Arrivals::Poisson)
        .then(|| arguments.seed.unwrap_or_else(of_this_moment))
}

/// Returns the server that `words` name in a raw run.
fn raw_place(words: &[String]) -> Result<Place, UsageError> {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let url = match words.as_slice() {
        [host, port] => format!("tcp://{host}:{port}"),
        [url] if url.starts_with("tcp://") || url.starts_with("tcp+unix://") => (*url).into(),
        [url] if !url.contains("://") => format!("tcp://{url}"),
        _ => {
            return Err(
                "--raw needs the server as tcp://HOST:PORT, HOST:PORT or tcp+unix://PATH".into()
            );
        }
    };
    let (_, place) = parse_url(&url, |_| Ok(0)).map_err(|error| {
        UsageError::new(format_args!(
            "'{url}' is no target: {error}; --raw takes tcp://HOST:PORT or tcp+unix://PATH"
        ))
    })?;
    match place {
        Place::Host { port: 0, .. } => Err("--raw needs a port, as in tcp://127.0.0.1:6379".into()),
        place => Ok(place),
    }
}

/// Returns the endpoints that are reachable from `sources`: those of the same address family.
fn reachable(endpoints: Vec<Endpoint>, sources: &[IpAddr]) -> Result<Vec<Endpoint>, UsageError> {
    let Some(first) = sources.first() else { return Ok(endpoints) };
    if endpoints.iter().any(|endpoint| endpoint.addr().is_none()) {
        return Err("--source is for TCP: leave it out for a unix socket".into());
    }
    if sources.iter().any(|source| source.is_ipv4() != first.is_ipv4()) {
        return Err("--source mixes IPv4 and IPv6: use addresses of the server's family".into());
    }
    let is_reachable = |addr: SocketAddr| addr.is_ipv4() == first.is_ipv4();
    let reachable: Vec<Endpoint> = endpoints
        .into_iter()
        .filter(|endpoint| endpoint.addr().is_some_and(is_reachable))
        .collect();
    if reachable.is_empty() {
        return Err(
            "--source and the server differ in address family: use both IPv4, or both IPv6".into(),
        );
    }
    Ok(reachable)
}

/// The expected reply to a raw request.
enum RawExpectation {
    Itself,
    Bytes(Vec<u8>),
    End(Vec<u8>),
}

impl RawExpectation {
    fn of(arguments: &Arguments) -> Result<Self, UsageError> {
        Ok(match (&arguments.expect, &arguments.expect_end) {
            (Some(expect), _) => Self::Bytes(raw::unescape(expect)?),
            (None, Some(end)) if end.is_empty() => {
                return Err(r"--expect-end needs a byte, as in '\n'".into());
            }
            (None, Some(end)) => Self::End(raw::unescape(end)?),
            (None, None) => Self::Itself,
        })
    }

    fn message(&self, request: Vec<u8>) -> ScriptMessage {
        let reply = match self {
            Self::Itself => ExpectedReply::Exact(request.clone()),
            Self::Bytes(bytes) if bytes.is_empty() => ExpectedReply::Nothing,
            Self::Bytes(bytes) => ExpectedReply::Exact(bytes.clone()),
            Self::End(end) => ExpectedReply::Until(end.clone()),
        };
        ScriptMessage { request, reply }
    }
}

/// Returns distinct messages, as many as a round of the script has room for.
fn numbered(
    protocol: ProtocolName,
    arguments: &Arguments,
) -> Result<Vec<ScriptMessage>, UsageError> {
    let first = protocols::numbered(protocol, arguments.size, 0)?;
    let count = script::round_len(first.request.len(), arguments.pipeline);
    (0..count).map(|number| protocols::numbered(protocol, arguments.size, number)).collect()
}

/// Returns the messages as the user wrote them; `None` for the default messages.
fn description(arguments: &Arguments) -> Option<String> {
    arguments
        .mix
        .clone()
        .or_else(|| (!arguments.message.is_empty()).then(|| arguments.message.join(", ")))
}

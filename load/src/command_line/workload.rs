//! The workload of a command line: the server, the messages with the expected replies, and the plan
//! of a run.

use std::net::{IpAddr, SocketAddr};
use std::process;
use std::time::{Duration, SystemTime};

use tinytcp_cli::address::{Place, Url, parse_url};
use tinytcp_cli::target::{ProtocolName, Target};
use tinytcp_cli::tls::TlsClient;
use tinytcp_core::os::endpoint::Endpoint;

use super::arguments::Arguments;
use super::messages::Messages;
use super::rates::Stages;
use super::values::ResumptionName;
use super::{NAME, typed};
use crate::error::{LoadError, UsageError};
use crate::measurement::format::plural;
use crate::measurement::settings::{
    Arrivals, Opening, Pace, RunSettings, ServerTarget, TlsChoices,
};
use crate::traffic::messages::message::Framing;
use crate::traffic::messages::{protocols, raw};
use crate::traffic::plan::{Plan, TlsPlan};

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
    /// How connections are encrypted; `None` without TLS.
    tls: Option<TlsClient>,
    protocol: &'static str,
    /// The messages as reports name them.
    description: String,
    messages: Messages,
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
    pub fn of(arguments: &Arguments) -> Result<Self, LoadError> {
        let is_raw = |word: &String| word.starts_with("tcp://") || word.starts_with("tcp+");
        if arguments.raw || arguments.words.first().is_some_and(is_raw) {
            return Self::raw(arguments);
        }
        let target =
            Target::from_words(&arguments.words, arguments.protocol).map_err(UsageError::new)?;
        let protocol = target.protocol;
        let tls = arguments.tls.client(NAME, target.is_encrypted, &target.place)?;
        let messages = Messages::of_protocol(arguments, protocol)?;
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
            seed: seed(arguments, &messages),
            messages,
            greeting: protocols::greeting(protocol).to_vec(),
            framing: protocols::framing(protocol),
            tls,
            place: target.place,
        })
    }

    fn raw(arguments: &Arguments) -> Result<Self, LoadError> {
        if !arguments.raw {
            return Err(
                UsageError::from("tcp:// names no protocol: add --raw, -m and --expect").into()
            );
        }
        let Url { is_encrypted, place, .. } = raw_url(&arguments.words)?;
        let tls = arguments.tls.client(NAME, is_encrypted, &place)?;
        let suffix = if is_encrypted { "+tls" } else { "" };
        let messages = Messages::raw(arguments)?;
        let greeting = arguments.greeting.as_deref().map_or(Ok(Vec::new()), raw::unescape)?;
        Ok(Self {
            target: format!("tcp{suffix}{}://{place}", place.scheme_suffix()),
            place,
            tls,
            protocol: "raw",
            description: description(arguments).unwrap_or_default(),
            framing: messages.raw_framing(),
            seed: seed(arguments, &messages),
            messages,
            greeting,
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
        self.check(arguments, pace)?;
        let sources = arguments.source.clone().map_or(Vec::new(), |sources| sources.0);
        let endpoints = reachable(endpoints, &sources)?;
        let tickets = resumes(arguments).then_some(arguments.connections);
        let tls = |client| TlsPlan::new(client, endpoints.len(), tickets);
        let output = &arguments.output;
        Ok(Plan {
            settings: self.settings(arguments, pace),
            tls: self.tls.as_ref().map(tls),
            endpoints,
            script: self.messages.script(
                arguments.pipeline,
                self.seed.unwrap_or(0),
                &self.greeting,
                self.framing,
            )?,
            opening: opening(arguments),
            lifetime: arguments.lifetime,
            sources,
            reset: arguments.reset,
            proxy_header: arguments.proxy_header,
            is_spread: arguments.spread,
            logged_requests: output.log_requests.as_ref().map(|_| output.log_requests_max as u64),
        })
    }

    /// Checks that the arguments of a run at `pace` fit together, and fit the server and the
    /// messages.
    fn check(&self, arguments: &Arguments, pace: Pace) -> Result<(), UsageError> {
        if warmup(arguments) >= duration(arguments) {
            return Err("--warmup leaves no time to measure: make it shorter than -d".into());
        }
        let is_closed_loop = pace == Pace::Closed && arguments.find_max.is_none();
        if self.messages.has_pauses() && (!is_closed_loop || arguments.pipeline > 1) {
            return Err("`sleep` needs a closed loop with 1 request in flight: leave out -R, \
                        --stages, --find-max, --hold and -P, or the sleep"
                .into());
        }
        if arguments.reset && self.is_unix() {
            return Err("--reset is for TCP: leave it out, a unix socket keeps no port".into());
        }
        Ok(())
    }

    /// Returns the settings of a run at `pace`, as reports repeat them.
    fn settings(&self, arguments: &Arguments, pace: Pace) -> RunSettings {
        let tls = |client: &TlsClient| TlsChoices {
            is_verified: client.is_checked(),
            resumes: resumes(arguments),
        };
        RunSettings {
            target: ServerTarget { name: self.target.clone(), is_unix: self.is_unix() },
            protocol: self.protocol.into(),
            messages: self.description.clone(),
            typed: typed::flags(),
            connections: arguments.connections,
            depth: arguments.pipeline,
            threads: arguments.threads.min(arguments.connections),
            duration: duration(arguments),
            warmup: warmup(arguments),
            timeout: arguments.timeout,
            pace,
            stages: arguments.stages.clone().map_or(Vec::new(), |stages| stages.0),
            arrivals: arguments.arrivals.into(),
            think: arguments.think.unwrap_or(Duration::ZERO),
            requests: arguments.requests.map(|count| count as u64),
            seed: self.seed,
            request_bytes: self.messages.request_bytes(),
            tls: self.tls.as_ref().map(tls),
        }
    }

    const fn is_unix(&self) -> bool {
        matches!(self.place, Place::Unix(_))
    }
}

/// Returns how connections are opened.
fn opening(arguments: &Arguments) -> Opening {
    match (arguments.ramp, arguments.connect_rate) {
        (Some(ramp), _) => Opening::Rate(arguments.connections as f64 / ramp.as_secs_f64()),
        (None, Some(rate)) => Opening::Rate(rate as f64),
        (None, None) => Opening::AtOnce,
    }
}

/// Returns true if connections resume sessions of TLS.
fn resumes(arguments: &Arguments) -> bool {
    arguments.tls_resume == ResumptionName::On
}

/// Returns the first part of a run, which is not measured.
fn warmup(arguments: &Arguments) -> Duration {
    arguments.warmup.unwrap_or(Duration::ZERO)
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
fn seed(arguments: &Arguments, messages: &Messages) -> Option<u32> {
    let of_this_moment = || {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        now.subsec_nanos() ^ process::id()
    };
    let is_random = messages.is_random() || Arrivals::from(arguments.arrivals) == Arrivals::Poisson;
    is_random.then(|| arguments.seed.unwrap_or_else(of_this_moment))
}

/// Returns the server that `words` name in a raw run.
fn raw_url(words: &[String]) -> Result<Url, UsageError> {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let url = match words.as_slice() {
        [host, port] => format!("tcp://{host}:{port}"),
        [url] if url.starts_with("tcp://") || url.starts_with("tcp+") => (*url).into(),
        [url] if !url.contains("://") => format!("tcp://{url}"),
        _ => {
            return Err(
                "--raw needs the server as tcp://HOST:PORT, HOST:PORT or tcp+unix://PATH".into()
            );
        }
    };
    let wrong = |error: UsageError| {
        UsageError::new(format_args!(
            "'{url}' is no target: {error}; --raw takes tcp://HOST:PORT or tcp+unix://PATH, and \
             tcp+tls://HOST:PORT for TLS"
        ))
    };
    let parsed = parse_url(&url, |_| Ok(0)).map_err(wrong)?;
    match parsed.place {
        _ if parsed.scheme != "tcp" => Err(wrong("its scheme is not tcp".into())),
        Place::Host { port: 0, .. } => Err("--raw needs a port, as in tcp://127.0.0.1:6379".into()),
        _ => Ok(parsed),
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

/// Returns the messages as the user wrote them; `None` for the default messages.
fn description(arguments: &Arguments) -> Option<String> {
    let file = arguments.script.as_ref().map(|path| format!("script {}", path.display()));
    let list = (!arguments.message.is_empty()).then(|| arguments.message.join(", "));
    file.or_else(|| arguments.mix.clone()).or(list)
}

//! The server to talk to: `text://127.0.0.1:40000`, `text+tls://example.org`,
//! `text+unix:///run/tinytcp.sock`, `localhost`, `[::1]:8888`, or a host and a port as two words.

use std::fmt;
use std::net::Ipv6Addr;
use std::str::FromStr;

use crate::address::{Address, Place, Url, parse_url};
use crate::usage_error::UsageError;

/// The name of one of the four protocols.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProtocolName {
    /// Commands and answers of one line each, after a banner.
    Text,
    /// Frames of a five-byte header and a payload.
    Binary,
    /// Messages that are returned after a prefix.
    Echo,
    /// Messages whose words decide the answer.
    Chat,
}

impl ProtocolName {
    /// All of them, the default first.
    pub const ALL: [Self; 4] = [Self::Text, Self::Binary, Self::Echo, Self::Chat];

    /// The name, which is also the scheme of its URLs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Binary => "binary",
            Self::Echo => "echo",
            Self::Chat => "chat",
        }
    }

    /// The default port of its servers.
    #[must_use]
    pub const fn default_port(self) -> u16 {
        match self {
            Self::Text => 40000,
            Self::Binary => 65432,
            Self::Echo => 8888,
            Self::Chat => 9999,
        }
    }

    /// The protocol whose default port this is.
    #[must_use]
    pub fn of_port(port: u16) -> Option<Self> {
        Self::ALL.into_iter().find(|protocol| protocol.default_port() == port)
    }

    /// Whether this is the default port of a protocol.
    #[must_use]
    pub fn is_default_port(port: u16) -> bool {
        Self::of_port(port).is_some()
    }
}

impl FromStr for ProtocolName {
    type Err = UsageError;

    fn from_str(name: &str) -> Result<Self, UsageError> {
        Self::ALL
            .into_iter()
            .find(|protocol| protocol.name().eq_ignore_ascii_case(name))
            .ok_or_else(|| "the protocols are text, binary, echo and chat".into())
    }
}

/// A server: its protocol, its place, and whether its connections are encrypted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The protocol.
    pub protocol: ProtocolName,
    /// True if the client encrypts with TLS.
    pub is_encrypted: bool,
    /// The place.
    pub place: Place,
}

impl Target {
    /// Returns the target of `words`: none (the default), a URL or `HOST[:PORT]`, or `HOST` and
    /// `PORT`.
    ///
    /// The protocol is that of the URL, else `protocol`, else the one of a default port, else text.
    /// A missing port is the default port of the protocol.
    ///
    /// # Errors
    /// With the error and a target that works.
    pub fn from_words(
        words: &[String],
        protocol: Option<ProtocolName>,
    ) -> Result<Self, UsageError> {
        match words {
            [] => Self::complete("127.0.0.1".into(), None, protocol),
            [target] if target.contains("://") => Self::from_url(target, protocol),
            [port] if port.bytes().all(|byte| byte.is_ascii_digit()) && !port.is_empty() => Err(
                format!("'{port}' looks like a port: give the host too, as in 127.0.0.1:{port}")
                    .into(),
            ),
            [target] => {
                let (host, port) = split_host(target)
                    .map_err(|error| format!("'{target}' is no target: {error}"))?;
                Self::complete(host, port, protocol)
            }
            [host, port] => {
                let number = port.parse().map_err(|_| {
                    format!(
                        "'{port}' is no port: ports are numbers from 1 to 65535, \
                         as in 127.0.0.1 40000"
                    )
                })?;
                let (host, _) =
                    split_host(host).ok().filter(|(_, port)| port.is_none()).ok_or_else(|| {
                        format!("'{host}' is no host: HOST PORT looks like 127.0.0.1 40000")
                    })?;
                Self::complete(host, Some(number), protocol)
            }
            _ => Err("too many words: give one TARGET, as in text://127.0.0.1:40000, or HOST PORT"
                .into()),
        }
    }

    fn from_url(url: &str, protocol: Option<ProtocolName>) -> Result<Self, UsageError> {
        let no_target =
            |error: UsageError| UsageError::from(format!("'{url}' is no target: {error}"));
        let default_port = |scheme: &str| scheme.parse().map(ProtocolName::default_port);
        refuse_web(url).map_err(no_target)?;
        let Url { scheme, is_encrypted, place } =
            parse_url(url, default_port).map_err(no_target)?;
        let scheme: ProtocolName = scheme.parse().map_err(no_target)?;
        match protocol {
            Some(other) if other != scheme => Err(format!(
                "'{url}' is {} but --protocol (TINYTCP_PROTOCOL) is {}: leave one of them out",
                scheme.name(),
                other.name()
            )
            .into()),
            _ => Self::reachable(scheme, is_encrypted, place),
        }
    }

    /// Fills in what is missing.
    fn complete(
        host: String,
        port: Option<u16>,
        protocol: Option<ProtocolName>,
    ) -> Result<Self, UsageError> {
        let protocol =
            protocol.or_else(|| ProtocolName::of_port(port?)).unwrap_or(ProtocolName::Text);
        let port = port.unwrap_or(protocol.default_port());
        Self::reachable(protocol, false, Place::Host { host, port })
    }

    /// The target, if a client can connect to it.
    fn reachable(
        protocol: ProtocolName,
        is_encrypted: bool,
        place: Place,
    ) -> Result<Self, UsageError> {
        match place {
            Place::Host { port: 0, .. } => {
                Err("port 0 is for servers, which then take any free port: use the port that the \
                 server printed"
                    .into())
            }
            place => Ok(Self { protocol, is_encrypted, place }),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tls = if self.is_encrypted { "+tls" } else { "" };
        write!(f, "{}{tls}{}://{}", self.protocol.name(), self.place.scheme_suffix(), self.place)
    }
}

/// Refuses the URL of a web page, the only other one that a server of ours has.
fn refuse_web(url: &str) -> Result<(), UsageError> {
    let scheme = url.split_once("://").map_or("", |(scheme, _)| scheme);
    if !["http", "https"].iter().any(|web| scheme.eq_ignore_ascii_case(web)) {
        return Ok(());
    }
    Err("health and metrics (--admin) speak HTTP; ask there with curl, or write text://HOST for \
         the server itself"
        .into())
}

/// Splits `host`, `host:port`, `[v6]`, `[v6]:port` or a bare `v6` into host and port.
fn split_host(text: &str) -> Result<(String, Option<u16>), UsageError> {
    if text.parse::<Ipv6Addr>().is_ok() {
        return Ok((text.into(), None));
    }
    // A URL is this after a scheme; any scheme is fine.
    let address: Address = format!("text://{text}").parse()?;
    Ok((address.host, address.port))
}

#[cfg(test)]
mod tests {
    use tinytcp_core::protocol::BUILT_IN;

    use super::*;

    fn target(words: &str, protocol: Option<ProtocolName>) -> Result<String, String> {
        let words: Vec<String> = words.split_whitespace().map(String::from).collect();
        let target = Target::from_words(&words, protocol);
        target.map(|target| target.to_string()).map_err(|error| error.to_string())
    }

    #[test]
    fn protocols_and_ports_are_those_of_the_server() {
        let ours = ProtocolName::ALL.map(|protocol| (protocol.name(), protocol.default_port()));
        assert_eq!(
            ours,
            BUILT_IN.each_ref().map(|built_in| (built_in.scheme, built_in.default_port))
        );
    }

    #[test]
    fn a_place_is_the_target_without_its_scheme() {
        for host_port in ["127.0.0.1:40000", "[::1]:40000", "localhost:1"] {
            let target = Target::from_words(&[host_port.into()], Some(ProtocolName::Binary))
                .expect(host_port);
            assert_eq!(target.place.to_string(), host_port);
        }
    }

    #[test]
    fn a_unix_socket_is_a_target_with_a_path() {
        let url = "chat+unix:///run/tinytcp.sock";
        let socket = Target::from_words(&[url.into()], None).expect(url);
        assert_eq!(
            socket,
            Target {
                protocol: ProtocolName::Chat,
                is_encrypted: false,
                place: Place::Unix("/run/tinytcp.sock".into())
            }
        );
        assert_eq!(socket.to_string(), url);
        assert_eq!(target(url, Some(ProtocolName::Chat)).as_deref(), Ok(url));
        assert!(
            target(url, Some(ProtocolName::Text))
                .expect_err("they disagree")
                .contains("--protocol")
        );
        assert!(target("text+unix://", None).expect_err("no path").contains("the path is missing"));
        assert!(
            target("ftp+unix:///t", None)
                .expect_err("no protocol")
                .contains("the protocols are text")
        );
    }

    #[test]
    fn missing_parts_of_a_target_have_defaults() {
        let cases = [
            ("", "text://127.0.0.1:40000"),
            ("text://127.0.0.1:40001", "text://127.0.0.1:40001"),
            ("binary://localhost", "binary://localhost:65432"),
            ("CHAT://[::1]", "chat://[::1]:9999"),
            ("binary+TLS://localhost", "binary+tls://localhost:65432"),
            ("text+tls+unix://t.sock", "text+tls+unix://t.sock"),
            ("localhost", "text://localhost:40000"),
            ("::1", "text://[::1]:40000"),
            ("[::1]:8888", "echo://[::1]:8888"),
            ("10.0.0.1:9999", "chat://10.0.0.1:9999"),
            ("127.0.0.1 8888", "echo://127.0.0.1:8888"),
            ("127.0.0.1 50000", "text://127.0.0.1:50000"),
            ("::1 65432", "binary://[::1]:65432"),
        ];
        for (words, expected) in cases {
            assert_eq!(target(words, None).as_deref(), Ok(expected), "{words}");
        }
    }

    #[test]
    fn the_flag_decides_if_the_target_does_not() {
        assert_eq!(target("", Some(ProtocolName::Echo)).as_deref(), Ok("echo://127.0.0.1:8888"));
        assert_eq!(
            target("host 8888", Some(ProtocolName::Chat)).as_deref(),
            Ok("chat://host:8888")
        );
        assert_eq!(
            target("echo://host", Some(ProtocolName::Echo)).as_deref(),
            Ok("echo://host:8888")
        );
        let error = target("echo://host", Some(ProtocolName::Chat)).expect_err("they disagree");
        assert!(error.contains("--protocol"), "{error}");
    }

    #[test]
    fn a_url_of_the_web_is_rejected_with_the_program_for_it() {
        for url in ["http://localhost", "HTTPS://localhost:9100/metrics", "https://localhost"] {
            let error = target(url, None).expect_err("no protocol of a target");
            assert!(error.contains("curl") && error.contains("text://HOST"), "{url}: {error}");
        }
    }

    #[test]
    fn a_malformed_target_is_rejected_with_one_that_works() {
        for words in [
            "ftp://host",
            "text://",
            "host:port",
            "host http",
            "host 65536",
            "host:1 2",
            "a b c",
            "host 0",
        ] {
            let error = target(words, None).expect_err(words);
            assert!(!error.contains('\n'), "{words}: {error}");
        }
        assert!(target("host http", None).expect_err("no number").contains("127.0.0.1 40000"));
        assert!(target("40000", None).expect_err("no host").contains("looks like a port"));
    }
}

//! Addresses of servers as URLs whose scheme is the protocol: `text://127.0.0.1:40000`,
//! `binary+tls://[::1]:65432`, `chat+unix:///run/tinytcp.sock`, `text+tls+unix://t.sock`.

use std::fmt;
use std::io;
use std::net::ToSocketAddrs;
use std::path::PathBuf;
use std::str::FromStr;

use tinytcp_core::os::endpoint::{Endpoint, check_path};

use crate::usage_error::UsageError;

/// A protocol, a host and a port. The host is a name, which is not looked up here, or a numeric
/// address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Address {
    /// The protocol, in lower case.
    pub scheme: String,
    /// The host, an IPv6 address without its brackets.
    pub host: String,
    /// The port; `None` if the text has none. A listener takes any free port for 0.
    pub port: Option<u16>,
}

impl FromStr for Address {
    type Err = UsageError;

    fn from_str(text: &str) -> Result<Self, UsageError> {
        const EXAMPLE: &str = "addresses look like text://127.0.0.1:40000 or binary://[::1]:65432";
        let Some((scheme, rest)) = text.split_once("://") else {
            return Err(format!("the protocol is missing; {EXAMPLE}").into());
        };
        let well_formed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.');
        if scheme.is_empty() || !scheme.chars().all(well_formed) {
            return Err(EXAMPLE.into());
        }
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (host_port, path) = rest.split_at_checked(end).ok_or(EXAMPLE)?;
        if !matches!(path, "" | "/") {
            return Err(format!(
                "'{path}' after host and port has no meaning here, leave it out; {EXAMPLE}"
            )
            .into());
        }
        let (host, port) = split_host_port(host_port).ok_or(EXAMPLE)?;
        if host.is_empty() || host.contains(|c: char| c.is_whitespace() || c == '@') {
            return Err(EXAMPLE.into());
        }
        let port = match port {
            Some(port) => Some(
                port.parse()
                    .map_err(|_| format!("the port is a number from 0 to 65535; {EXAMPLE}"))?,
            ),
            None => None,
        };
        Ok(Self { scheme: scheme.to_ascii_lowercase(), host: host.into(), port })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme, Host(&self.host))?;
        match self.port {
            Some(port) => write!(f, ":{port}"),
            None => Ok(()),
        }
    }
}

/// A host as URLs show it: an IPv6 address in brackets.
struct Host<'a>(&'a str);

impl fmt::Display for Host<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.contains(':') { write!(f, "[{}]", self.0) } else { f.write_str(self.0) }
    }
}

/// The place of a server. It is shown as its URL has it after `://`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A port of a host.
    Host {
        /// A name or a numeric address, IPv6 without brackets.
        host: String,
        /// 0 is for a listener, which takes any free port.
        port: u16,
    },
    /// The path of a unix socket.
    Unix(PathBuf),
}

impl Place {
    /// A port of `host`, which may be an IPv6 address in brackets.
    #[must_use]
    pub fn host(host: &str, port: u16) -> Self {
        let host = host.trim_start_matches('[').trim_end_matches(']').into();
        Self::Host { host, port }
    }

    /// Returns the endpoints of this place: a host may have several addresses. Blocks while a name
    /// is looked up.
    ///
    /// # Errors
    /// When the lookup fails.
    pub fn resolve(&self) -> io::Result<Vec<Endpoint>> {
        match self {
            Self::Host { host, port } => {
                Ok((host.as_str(), *port).to_socket_addrs()?.map(Endpoint::Tcp).collect())
            }
            Self::Unix(path) => Ok(vec![Endpoint::Unix(path.clone())]),
        }
    }

    /// The part of its URL's scheme after the protocol.
    #[must_use]
    pub const fn scheme_suffix(&self) -> &'static str {
        match self {
            Self::Host { .. } => "",
            Self::Unix(_) => "+unix",
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host { host, port } => write!(f, "{}:{port}", Host(host)),
            Self::Unix(path) => path.display().fmt(f),
        }
    }
}

/// The parts of a URL: `PROTOCOL[+tls]://HOST[:PORT]` or `PROTOCOL[+tls]+unix://PATH`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Url {
    /// The protocol, in lower case.
    pub scheme: String,
    /// True if connections are encrypted with TLS.
    pub is_encrypted: bool,
    /// The place.
    pub place: Place,
}

/// Parses a URL of TCP or of a unix socket. A missing port becomes the `default_port` of the
/// scheme.
///
/// # Errors
/// For a URL that is malformed, and the errors of `default_port`.
pub fn parse_url(
    url: &str,
    default_port: impl FnOnce(&str) -> Result<u16, UsageError>,
) -> Result<Url, UsageError> {
    if let Some((scheme, path)) = unix_path(url)? {
        let (scheme, is_encrypted) = protocol(&scheme, url)?;
        return Ok(Url { scheme, is_encrypted, place: Place::Unix(path) });
    }
    let Address { scheme, host, port } = url.parse()?;
    let (scheme, is_encrypted) = protocol(&scheme, url)?;
    let port = match port {
        Some(port) => port,
        None => default_port(&scheme)?,
    };
    Ok(Url { scheme, is_encrypted, place: Place::Host { host, port } })
}

/// Returns the protocol of a scheme without `+unix`, and whether `+tls` follows it.
///
/// # Errors
/// When there is no protocol before `tls`, or `+unix` before `+tls`.
fn protocol(scheme: &str, url: &str) -> Result<(String, bool), UsageError> {
    let rest = url.split_once("://").map_or("", |(_, rest)| rest);
    if scheme == "tls" {
        return Err(format!("the protocol is missing, as in text+tls://{rest}").into());
    }
    if let Some(protocol) = scheme.strip_suffix("+unix+tls") {
        return Err(format!("+tls comes before +unix, as in {protocol}+tls+unix://{rest}").into());
    }
    Ok(match scheme.strip_suffix("+tls") {
        Some(protocol) => (protocol.into(), true),
        None => (scheme.into(), false),
    })
}

/// Returns the protocol and the path of `PROTOCOL+unix://PATH`; `None` for a text of another form.
/// Everything after `://` is the path, absolute or relative.
///
/// # Errors
/// When there is no protocol, no path, or one that is too long.
fn unix_path(text: &str) -> Result<Option<(String, PathBuf)>, UsageError> {
    let Some((scheme, path)) = text.split_once("://") else { return Ok(None) };
    let scheme = scheme.to_ascii_lowercase();
    if scheme == "unix" {
        return Err(format!("the protocol is missing, as in text+unix://{path}").into());
    }
    let Some(protocol) = scheme.strip_suffix("+unix") else { return Ok(None) };
    if path.is_empty() {
        return Err(
            format!("the path is missing, as in {protocol}+unix:///run/tinytcp.sock").into()
        );
    }
    let path = PathBuf::from(path);
    check_path(&path)
        .map_err(|error| format!("{error}: choose a shorter one, or a relative one"))?;
    Ok(Some((protocol.into(), path)))
}

/// Splits `host`, `host:port`, `[v6]` or `[v6]:port`.
fn split_host_port(text: &str) -> Option<(&str, Option<&str>)> {
    if let Some(rest) = text.strip_prefix('[') {
        let (host, rest) = rest.split_once(']')?;
        return match rest {
            "" => Some((host, None)),
            _ => Some((host, Some(rest.strip_prefix(':')?))),
        };
    }
    match text.split_once(':') {
        Some((_, port)) if port.contains(':') => None,
        Some((host, port)) => Some((host, Some(port))),
        None => Some((text, None)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_the_same_after_writing_and_parsing() {
        for text in [
            "text://127.0.0.1:40000",
            "binary://[::1]:65432",
            "echo://localhost",
            "chat://[fe80::1%lo]:0",
            "a+b-c.d9://h:1",
        ] {
            let address: Address = text.parse().expect(text);
            assert_eq!(address.to_string(), text);
        }
        let address: Address = "TEXT://[::1]:7/".parse().expect("any case, and a final slash");
        assert_eq!(address, Address { scheme: "text".into(), host: "::1".into(), port: Some(7) });
    }

    #[test]
    fn a_missing_port_is_the_default_port_of_the_scheme() {
        let parse = |url: &str| {
            let Url { scheme, is_encrypted, place } = parse_url(url, |_| Ok(7)).expect(url);
            format!("{scheme}{} {place}", if is_encrypted { " encrypted" } else { "" })
        };
        assert_eq!(parse("text://[::1]"), "text [::1]:7");
        assert_eq!(parse("text+TLS://host"), "text encrypted host:7");
        assert_eq!(parse("text+tls+unix://t.sock"), "text encrypted t.sock");
        assert_eq!(parse("text://host:0"), "text host:0");
        assert_eq!(parse("TEXT+unix://t.sock"), "text t.sock");
    }

    #[test]
    fn everything_after_the_scheme_of_a_unix_socket_is_its_path() {
        let split = |text: &str| {
            unix_path(text).expect(text).map(|(scheme, path)| (scheme, path.display().to_string()))
        };
        for path in ["/run/t.sock", "t.sock", "./a b", "/a:1?b#c"] {
            assert_eq!(split(&format!("TEXT+unix://{path}")), Some(("text".into(), path.into())));
        }
        assert_eq!((split("text://host:1"), split("/run/t.sock")), (None, None));
        assert!(
            unix_path("unix:///t.sock")
                .expect_err("no protocol")
                .to_string()
                .contains("as in text+unix:///t.sock")
        );
        assert!(
            unix_path("text+unix://")
                .expect_err("no path")
                .to_string()
                .contains("text+unix:///run/tinytcp.sock")
        );
        assert!(
            unix_path(&format!("text+unix:///{}", "x".repeat(107)))
                .expect_err("long")
                .to_string()
                .contains("at most 107")
        );
    }

    #[test]
    fn a_url_of_tls_names_its_protocol_first() {
        let error = |url: &str| parse_url(url, |_| Ok(7)).expect_err(url).to_string();
        assert!(error("tls://host:1").contains("as in text+tls://host:1"));
        assert!(error("tls+unix://t.sock").contains("as in text+tls://t.sock"));
        assert!(error("text+unix+tls://t.sock").contains("as in text+tls+unix://t.sock"));
    }

    #[test]
    fn only_text_in_the_place_of_a_port_is_called_a_wrong_one() {
        let error = |text: &str| text.parse::<Address>().expect_err(text).to_string();
        assert!(error("text://host:http").contains("the port is a number"));
        assert!(!error("text://fe80::1").contains("the port is a number"), "it has no brackets");
    }

    #[test]
    fn a_missing_protocol_and_a_path_are_named() {
        let error = |text: &str| text.parse::<Address>().expect_err(text).to_string();
        assert!(error("127.0.0.1:23100").contains("the protocol is missing"));
        for text in ["text://127.0.0.1:1/a/b", "text://host/a/b", "text://[::1]:1/a/b"] {
            assert!(error(text).starts_with("'/a/b' after host and port"), "{text}");
        }
        assert!(error("text://host:1?a=b").starts_with("'?a=b' after"));
    }

    #[test]
    fn a_malformed_address_is_rejected_with_an_example() {
        for text in [
            "",
            "text",
            "127.0.0.1:40000",
            "://host:1",
            "te_xt://host:1",
            "text://",
            "text://:1",
            "text://::1:40000",
            "text://host:",
            "text://host:65536",
            "text://host:-1",
            "text://[::1",
            "text://[::1]40000",
            "text://a b:1",
            "text://a/b:1",
        ] {
            let error = text.parse::<Address>().expect_err(text).to_string();
            assert!(error.contains("text://127.0.0.1:40000"), "{text}: {error}");
        }
    }
}

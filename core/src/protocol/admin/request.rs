//! Parses the head of an HTTP request (RFC 9112), as far as this server needs it.

use std::net::IpAddr;

use super::results;
use crate::metrics::exposition::Format;

/// The most header lines of a request.
const HEADERS_MAX: usize = 64;

/// The resource that a request names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    Health,
    Ready,
    Metrics(Format),
    Status,
    Page,
}

/// The reason to refuse a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Problem {
    NotHttp,
    SeveralHosts,
    ForeignHost,
    UnknownTarget,
    Method,
    HeadTooLong,
}

impl Problem {
    /// Returns the status code and its phrase.
    pub const fn result(self) -> &'static str {
        match self {
            Self::NotHttp | Self::SeveralHosts => results::BAD_REQUEST,
            Self::ForeignHost => results::MISDIRECTED,
            Self::UnknownTarget => results::NOT_FOUND,
            Self::Method => results::METHOD_NOT_ALLOWED,
            Self::HeadTooLong => results::HEAD_TOO_LONG,
        }
    }

    /// Returns a header line with its ending that the answer must have, or an empty string.
    pub const fn extra(self) -> &'static str {
        match self {
            Self::Method => "Allow: GET, HEAD\r\n",
            _ => "",
        }
    }
}

/// Parses the request at the start of `input`. Returns `None` while its head is incomplete. The
/// host may be an address, `localhost` or one of `hosts`.
///
/// # Errors
/// The reason to refuse the request.
pub fn parse(input: &[u8], hosts: &[String]) -> Result<Option<Target>, Problem> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut request = httparse::Request::new(&mut headers);
    match request.parse(input) {
        Ok(httparse::Status::Complete(_)) => {}
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(httparse::Error::TooManyHeaders) => return Err(Problem::HeadTooLong),
        Err(_) => return Err(Problem::NotHttp),
    }
    let header = |name: &str| {
        let found = request.headers.iter().find(|header| header.name.eq_ignore_ascii_case(name));
        found.map(|header| header.value.trim_ascii())
    };
    if request.headers.iter().filter(|it| it.name.eq_ignore_ascii_case("host")).count() > 1 {
        return Err(Problem::SeveralHosts);
    }
    if !matches!(request.method, Some("GET" | "HEAD")) {
        return Err(Problem::Method);
    }
    let (host, path) = split_target(request.path.unwrap_or_default());
    let host = host.map(str::as_bytes).or_else(|| header("host"));
    if !host.is_none_or(|host| is_known(host, hosts)) {
        return Err(Problem::ForeignHost);
    }
    let target = match path.split_once('?').map_or(path, |(path, _query)| path) {
        "/healthz" => Target::Health,
        "/readyz" => Target::Ready,
        "/metrics" => Target::Metrics(Format::accepted(header("accept").unwrap_or_default())),
        "/status" => Target::Status,
        "/" => Target::Page,
        _ => return Err(Problem::UnknownTarget),
    };
    Ok(Some(target))
}

/// Splits the target of a request into its host, if it is in absolute form, and its path. A client
/// that takes this server for a proxy sends this form, and its host then overrides the header
/// `Host` (RFC 9112, section 3.2.2).
fn split_target(target: &str) -> (Option<&str>, &str) {
    let Some(rest) = target.strip_prefix("http://") else { return (None, target) };
    match rest.split_at_checked(rest.find(['/', '?']).unwrap_or(rest.len())) {
        Some((host, path)) if path.starts_with('/') => (Some(host), path),
        Some((host, _)) => (Some(host), "/"),
        None => (None, target),
    }
}

/// True if `host` is empty, an IP address, `localhost` or one of `hosts`, with or without a port.
fn is_known(host: &[u8], hosts: &[String]) -> bool {
    let Ok(host) = std::str::from_utf8(host) else { return false };
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split_once(']').map_or(rest, |(address, _port)| address),
        None => host.split_once(':').map_or(host, |(name, _port)| name),
    };
    name.is_empty()
        || name.parse::<IpAddr>().is_ok()
        || name.eq_ignore_ascii_case("localhost")
        || hosts.iter().any(|known| known.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(head: &str) -> Result<Option<Target>, Problem> {
        parse(head.as_bytes(), &["tinytcp.example".to_owned()])
    }

    #[test]
    fn a_request_is_a_method_a_path_and_header_lines() {
        assert_eq!(target("GET /healthz HTTP/1.1\r\nHost: a\r\n"), Ok(None));
        assert_eq!(target("GET /healthz HTTP/1.0\r\n\r\n"), Ok(Some(Target::Health)));
        assert_eq!(target("GET /readyz?verbose HTTP/1.0\n\n"), Ok(Some(Target::Ready)));
        assert_eq!(target("GET / HTTP/1.0\r\n\r\n"), Ok(Some(Target::Page)));
        assert_eq!(target("GET /status HTTP/1.0\r\n\r\n"), Ok(Some(Target::Status)));
        assert_eq!(target("HEAD /status HTTP/1.0\r\n\r\n"), Ok(Some(Target::Status)));
    }

    #[test]
    fn each_refusal_has_its_reason() {
        assert_eq!(target("GET /other HTTP/1.0\r\n\r\n"), Err(Problem::UnknownTarget));
        assert_eq!(target("POST /status HTTP/1.0\r\n\r\n"), Err(Problem::Method));
        assert_eq!(target("ECHO hello\n"), Err(Problem::NotHttp));
        let head = format!("GET / HTTP/1.1\r\n{}\r\n", "A: b\r\n".repeat(HEADERS_MAX + 1));
        assert_eq!(target(&head), Err(Problem::HeadTooLong));
    }

    #[test]
    fn a_host_that_is_not_this_server_is_refused() {
        for host in [
            "127.0.0.1:9464",
            "127.0.0.1",
            "[::1]:9464",
            "localhost",
            "LocalHost:9464",
            "tinytcp.example:1",
            "",
        ] {
            let head = format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n");
            assert_eq!(target(&head), Ok(Some(Target::Page)), "{host}");
        }
        for host in ["evil.example", "evil.example:9464", "127.0.0.1.evil.example", "\u{e9}"] {
            let head = format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n");
            assert_eq!(target(&head), Err(Problem::ForeignHost), "{host}");
        }
    }

    #[test]
    fn a_request_with_several_hosts_is_refused() {
        let head = "GET / HTTP/1.1\r\nHost: localhost\r\nhost: ::1\r\n\r\n";
        assert_eq!(target(head), Err(Problem::SeveralHosts));
    }

    #[test]
    fn the_host_of_a_target_in_absolute_form_overrides_the_header() {
        let target =
            |uri: &str, host: &str| target(&format!("GET {uri} HTTP/1.1\r\nHost: {host}\r\n\r\n"));
        assert_eq!(target("http://[::1]:9464/status?a", "x"), Ok(Some(Target::Status)));
        for root in ["http://localhost", "http://localhost/", "http://localhost?a=/status"] {
            assert_eq!(target(root, "x"), Ok(Some(Target::Page)), "{root}");
        }
        assert_eq!(target("http://evil.example/", "localhost"), Err(Problem::ForeignHost));
        assert_eq!(target("ftp://localhost/", "localhost"), Err(Problem::UnknownTarget));
    }

    #[test]
    fn the_metrics_have_the_format_that_the_scraper_accepts() {
        let format =
            |accept: &str| target(&format!("GET /metrics HTTP/1.0\r\nAccept: {accept}\r\n\r\n"));
        assert_eq!(format("text/plain"), Ok(Some(Target::Metrics(Format::Prometheus))));
        assert_eq!(
            format("application/openmetrics-text;version=1.0.0;q=0.5,text/plain;q=0.2"),
            Ok(Some(Target::Metrics(Format::OpenMetrics)))
        );
    }
}

//! The URL of a listener: `text://127.0.0.1:40000`, `text+tls://127.0.0.1:40443?cert=cert.pem&...`,
//! `echo+proxy+tls+unix:///run/tinytcp.sock`.

use tinytcp_cli::UsageError;
use tinytcp_cli::address::{Place, Url, parse_url};
use tinytcp_core::protocol::{BUILT_IN, BuiltIn};

use crate::tls::TlsOptions;

/// The part of a scheme that asks for a listener for proxies.
const PROXY: &str = "+proxy";

/// The option that asks for a listener for proxies, and its only value.
const PROXY_OPTION: (&str, &str) = ("proxy", "on");

/// A listener that `--listen` asks for. No name is looked up yet.
#[derive(Clone)]
pub struct ListenAddress {
    pub place: Place,
    pub protocol: &'static BuiltIn,
    /// True if a connection begins with the header of a proxy.
    pub is_for_proxies: bool,
    /// The options of a listener with TLS; `None` without TLS.
    pub tls: Option<TlsOptions>,
}

impl ListenAddress {
    /// Parses a URL with options after a question mark. In the path of a unix socket, a question
    /// mark that no options follow is a part of the path.
    ///
    /// # Errors
    /// When the URL is malformed, or an option is unknown or has a wrong value.
    pub fn parse(text: &str) -> Result<Self, UsageError> {
        let (url, query) = match text.rsplit_once('?') {
            Some((url, query)) if !is_unix(url) || pairs(query).all(is_known) => (url, query),
            _ => (text, ""),
        };
        let Url { scheme, is_encrypted, place } =
            parse_url(url, |scheme| Ok(protocol(scheme)?.0.default_port))?;
        let (protocol, has_proxy) = protocol(&scheme)?;
        let (proxy, options): (Vec<_>, Vec<_>) =
            pairs(query).partition(|pair| *pair == PROXY_OPTION);
        if let Some((name, value)) = options.iter().find(|pair| !is_known(**pair)) {
            return Err(format!("'{name}={value}' is no option of a listener; {OPTIONS}").into());
        }
        let tls = match (is_encrypted, options.first()) {
            (true, _) => Some(TlsOptions::parse(&options)?),
            (false, None) => None,
            (false, Some((name, _))) => {
                return Err(
                    format!("{name} is an option of TLS: add +tls, as in text+tls://").into()
                );
            }
        };
        Ok(Self { place, protocol, is_for_proxies: has_proxy || !proxy.is_empty(), tls })
    }

    /// Returns the scheme and the place, without options.
    pub fn url(&self) -> String {
        let tls = if self.tls.is_some() { "+tls" } else { "" };
        let (scheme, unix) = (self.protocol.scheme, self.place.scheme_suffix());
        format!("{scheme}{tls}{unix}://{}", self.place)
    }
}

/// The remedy for an unknown option.
const OPTIONS: &str = "they are proxy=on, and with TLS cert=FILE&key=FILE, client-ca=FILE and \
                       min=1.3";

fn is_unix(url: &str) -> bool {
    url.split_once("://").is_some_and(|(scheme, _)| scheme.to_ascii_lowercase().ends_with("+unix"))
}

/// Returns the names and values of options.
fn pairs(query: &str) -> impl Iterator<Item = (&str, &str)> {
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    pairs.map(|pair| pair.split_once('=').unwrap_or((pair, "")))
}

fn is_known((name, value): (&str, &str)) -> bool {
    (name, value) == PROXY_OPTION || TlsOptions::KEYS.contains(&name)
}

/// Returns the protocol of a scheme without `+tls`, and whether its peers are proxies.
fn protocol(scheme: &str) -> Result<(&'static BuiltIn, bool), UsageError> {
    if let Some(scheme) = scheme.strip_suffix("+tls+proxy") {
        return Err(format!("{PROXY} comes before +tls, as in {scheme}+proxy+tls://").into());
    }
    match scheme.strip_suffix(PROXY) {
        Some(scheme) => Ok((built_in(scheme)?, true)),
        None => Ok((built_in(scheme)?, false)),
    }
}

/// Returns the protocol with this name.
///
/// # Errors
/// When there is none.
pub fn built_in(scheme: &str) -> Result<&'static BuiltIn, UsageError> {
    BUILT_IN.iter().find(|built_in| built_in.scheme == scheme).ok_or_else(|| {
        "the protocol is text, binary, echo or chat, as in text://127.0.0.1:40000".into()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> String {
        ListenAddress::parse(text).map(|_| ()).expect_err(text).to_string()
    }

    #[test]
    fn proxies_are_asked_for_by_the_scheme_or_by_an_option() {
        for (text, is_for_proxies) in [
            ("text://127.0.0.1:1", false),
            ("text://127.0.0.1:1?proxy=on", true),
            ("text+proxy://127.0.0.1:1", true),
            ("TEXT+PROXY+unix:///t.sock", true),
            ("text+unix:///t.sock?proxy=on", true),
            ("text+unix:///t.sock?x", false),
        ] {
            let address = ListenAddress::parse(text).expect(text);
            assert_eq!(address.is_for_proxies, is_for_proxies, "{text}");
            assert!(address.tls.is_none());
        }
    }

    #[test]
    fn a_question_mark_in_the_path_of_a_socket_is_kept() {
        let address = ListenAddress::parse("text+unix:///a?b=c?proxy=on").expect("a path");
        assert_eq!(address.url(), "text+unix:///a?b=c");
    }

    #[test]
    fn an_option_that_is_unknown_is_refused_with_the_known_ones() {
        for text in ["text://host:1?a=b", "text://host:1?proxy=off", "text+tls://h:1?proxy"] {
            assert!(
                error(text).contains("is no option of a listener; they are proxy=on"),
                "{text}"
            );
        }
    }
}

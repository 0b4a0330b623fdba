//! How a server reaches the broker, and how it authenticates itself there.

use std::error::Error;
use std::fmt;
use std::path::Path;

use super::envelope::Origin;
use super::percent::decoded;
use crate::tls::client::ClientSettings;
use crate::wire::nats::DEFAULT_PORT;

/// The beginning of the subjects of rooms, unless another one is set.
pub const DEFAULT_PREFIX: &str = "tinytcp.room.";

/// The longest prefix in bytes. With a room, it must fit a line of the broker.
const PREFIX_LEN_MAX: usize = 128;

/// How a server reaches its broker, and what it demands of it.
///
/// Neither its `Debug` nor its `Display` shows the credentials.
///
/// ```
/// use tinytcp::protocol::Text;
/// use tinytcp::{BusSettings, Server};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let bus = BusSettings::parse("nats://rooms:s3cret@127.0.0.1")?;
/// assert_eq!(bus.to_string(), "nats://127.0.0.1:4222");
/// let builder = Server::builder().listen(([127, 0, 0, 1], 0), Text::new()).bus(bus);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct BusSettings {
    host: String,
    port: u16,
    is_encrypted: bool,
    authorities: Option<ClientSettings>,
    credentials: Credentials,
    prefix: String,
    is_required: bool,
    origin: Origin,
}

/// The reason why settings of a bus cannot be used. Its text is one line without a final full stop,
/// and never holds the URL, which can hold a password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BusError(String);

/// How the server authenticates itself.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Credentials {
    /// Not at all.
    None,
    /// By a token.
    Token(String),
    /// By a name and a password.
    User {
        /// The name.
        name: String,
        /// The password.
        password: String,
    },
}

impl BusSettings {
    /// Reads a URL: `nats://HOST:PORT`, `nats://USER:PASSWORD@HOST` or `nats://TOKEN@HOST`, and
    /// `tls://` instead of `nats://` for an encrypted connection. The port is 4222 if there is
    /// none. Special characters before the `@` are percent-encoded.
    ///
    /// # Errors
    /// When the URL has another form, or needs TLS in a program that is built without it.
    pub fn parse(url: &str) -> Result<Self, BusError> {
        Self::read(url).map_err(|reason| BusError(reason.into()))
    }

    fn read(url: &str) -> Result<Self, &'static str> {
        const FORM: &str =
            "the URL of a broker looks like nats://127.0.0.1:4222 or nats://USER:PASSWORD@HOST";
        let (scheme, rest) = url.split_once("://").ok_or(FORM)?;
        let is_encrypted = match scheme.to_ascii_lowercase().as_str() {
            "nats" => false,
            "tls" | "nats+tls" if cfg!(feature = "tls") => true,
            "tls" | "nats+tls" => return Err("this program is built without TLS: use nats://"),
            _ => return Err(FORM),
        };
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let (credentials, place) = match rest.rsplit_once('@') {
            None => (Credentials::None, rest),
            Some((text, place)) => (Credentials::parse(text).ok_or(FORM)?, place),
        };
        let (host, port) = split_port(place).ok_or(FORM)?;
        let is_host = |c: char| c.is_ascii_alphanumeric() || "-._:%".contains(c);
        if host.is_empty() || !host.chars().all(is_host) {
            return Err(FORM);
        }
        Ok(Self {
            host: host.into(),
            port,
            is_encrypted,
            authorities: None,
            credentials,
            prefix: DEFAULT_PREFIX.into(),
            is_required: false,
            origin: Origin::random(),
        })
    }

    /// Trusts the authorities whose certificates are in the file `path`, in PEM format, for an
    /// encrypted connection. No other authority is trusted.
    ///
    /// # Errors
    /// When the file cannot be read, or has no usable certificate.
    pub fn with_ca_file(self, path: &Path) -> Result<Self, BusError> {
        let authorities = ClientSettings::trusting(path);
        let authorities = authorities.map_err(|error| BusError(error.to_string()))?;
        Ok(Self { authorities: Some(authorities), ..self })
    }

    /// Sets the beginning of the subjects of rooms.
    ///
    /// # Errors
    /// Those of [`check_prefix`].
    pub fn with_prefix(self, prefix: &str) -> Result<Self, BusError> {
        check_prefix(prefix)?;
        Ok(Self { prefix: prefix.into(), ..self })
    }

    /// Sets whether a server without its broker is not ready.
    #[must_use]
    pub const fn required(mut self, is_required: bool) -> Self {
        self.is_required = is_required;
        self
    }

    /// Sets the number of this server on the bus, which is random otherwise.
    #[cfg(any(test, feature = "testing"))]
    #[must_use]
    pub const fn with_origin(mut self, origin: Origin) -> Self {
        self.origin = origin;
        self
    }

    /// The host of the broker: a name, or an address without brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port of the broker.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// True if the connection must be encrypted.
    #[must_use]
    pub const fn is_encrypted(&self) -> bool {
        self.is_encrypted
    }

    /// The authorities that may have signed the certificate of the broker.
    #[must_use]
    pub(crate) const fn authorities(&self) -> Option<&ClientSettings> {
        self.authorities.as_ref()
    }

    /// How the server authenticates itself.
    pub(super) const fn credentials(&self) -> &Credentials {
        &self.credentials
    }

    /// The beginning of the subjects of rooms.
    #[must_use]
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// True if a server without its broker is not ready.
    #[must_use]
    pub const fn is_required(&self) -> bool {
        self.is_required
    }

    /// The number of this server on the bus.
    #[must_use]
    pub(crate) const fn origin(&self) -> Origin {
        self.origin
    }
}

/// The URL, without credentials.
impl fmt::Display for BusSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port, .. } = self;
        let scheme = if self.is_encrypted { "tls" } else { "nats" };
        match host.contains(':') {
            true => write!(f, "{scheme}://[{host}]:{port}"),
            false => write!(f, "{scheme}://{host}:{port}"),
        }
    }
}

impl fmt::Debug for BusSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BusSettings({self}, prefix {}, required {})", self.prefix, self.is_required)
    }
}

impl fmt::Display for BusError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for BusError {}

impl Credentials {
    /// Reads `USER:PASSWORD` or `TOKEN`.
    fn parse(text: &str) -> Option<Self> {
        let part = |text: &str| String::from_utf8(decoded(text.as_bytes())?).ok();
        match text.split_once(':') {
            Some((name, password)) => {
                Some(Self::User { name: part(name)?, password: part(password)? })
            }
            None => Some(Self::Token(part(text)?)).filter(|_| !text.is_empty()),
        }
    }
}

/// Checks the beginning of the subjects of rooms: tokens of letters, digits, `-` and `_`, each with
/// a dot after it.
///
/// # Errors
/// When `prefix` has another form, or is longer than 128 bytes.
pub fn check_prefix(prefix: &str) -> Result<(), BusError> {
    let is_token = |token: &str| {
        let is_right = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
        !token.is_empty() && token.bytes().all(is_right)
    };
    match prefix.strip_suffix('.') {
        Some(tokens) if tokens.split('.').all(is_token) && prefix.len() <= PREFIX_LEN_MAX => Ok(()),
        _ => Err(BusError(
            "the prefix is tokens of letters, digits, - and _, each with a dot after it, \
             128 bytes at most, as in tinytcp.room."
                .into(),
        )),
    }
}

/// Splits `HOST`, `HOST:PORT`, `[V6]` or `[V6]:PORT`.
fn split_port(place: &str) -> Option<(&str, u16)> {
    let (host, port) = match place.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest.split_once(']')?;
            (host, if port.is_empty() { None } else { Some(port.strip_prefix(':')?) })
        }
        None => match place.split_once(':') {
            Some((host, port)) if !port.contains(':') => (host, Some(port)),
            Some(_) => return None,
            None => (place, None),
        },
    };
    let port = match port {
        None => DEFAULT_PORT,
        Some(port) => port.parse().ok().filter(|port| *port != 0)?,
    };
    Some((host, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(url: &str) -> (String, Credentials) {
        let settings = BusSettings::parse(url).expect(url);
        (settings.to_string(), settings.credentials)
    }

    #[test]
    fn a_url_has_a_host_and_may_have_a_port_and_credentials() {
        let user = |name: &str, password: &str| Credentials::User {
            name: name.into(),
            password: password.into(),
        };
        for (url, shown, credentials) in [
            ("nats://broker", "nats://broker:4222", Credentials::None),
            ("NATS://127.0.0.1:4000/", "nats://127.0.0.1:4000", Credentials::None),
            ("nats://[::1]", "nats://[::1]:4222", Credentials::None),
            ("nats://ana:secret@[::1]:7", "nats://[::1]:7", user("ana", "secret")),
            ("nats://ana:@b", "nats://b:4222", user("ana", "")),
            ("nats://a%40b:c%3A%25d@b", "nats://b:4222", user("a@b", "c:%d")),
            ("nats://s3cr3t@b", "nats://b:4222", Credentials::Token("s3cr3t".into())),
            ("tls://b", "tls://b:4222", Credentials::None),
            ("NATS+TLS://b:7", "tls://b:7", Credentials::None),
        ] {
            assert!(parsed(url) == (shown.into(), credentials), "{url}");
        }
    }

    #[test]
    fn a_refusal_of_a_url_does_not_repeat_it() {
        for url in [
            "broker:4222",
            "redis://b",
            "nats://",
            "nats://ana:secret@",
            "nats://@b",
            "nats://b:0",
            "nats://b:x",
            "nats://b:65536",
            "nats://::1",
            "nats://[::1",
            "nats://[::1]7",
            "nats://ana:secret%@b",
            "nats://b/room",
            "nats://b c",
            "tls://ana:secret@",
        ] {
            let error = BusSettings::parse(url).expect_err(url).to_string();
            assert!(!error.contains("secret@") && !error.contains('\n'), "{error}");
        }
    }

    #[test]
    fn credentials_are_not_shown() {
        let settings = BusSettings::parse("nats://ana:secret@b").expect("a URL");
        assert!(!format!("{settings} {settings:?}").contains("secret"));
    }

    #[test]
    fn a_prefix_is_tokens_with_dots_after_them() {
        let settings = BusSettings::parse("nats://b").expect("a URL");
        for prefix in ["tinytcp.room.", "x.", "A-1_b.c."] {
            assert_eq!(settings.clone().with_prefix(prefix).map(|it| it.prefix), Ok(prefix.into()));
        }
        let long = format!("{}.", "x".repeat(PREFIX_LEN_MAX));
        for prefix in ["", ".", "x", "x..", ".x.", "x.*.", ">.", "a b.", "$SYS.", "x.\n.", &long] {
            assert!(settings.clone().with_prefix(prefix).is_err(), "{prefix}");
        }
    }
}

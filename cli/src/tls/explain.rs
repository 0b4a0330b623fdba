//! Errors of TLS as a fact and a remedy.

use std::time::Duration;

use rustls::pki_types::ServerName;
use rustls::{AlertDescription, CertificateError, Error, OtherError, PeerIncompatible};
use tinytcp_core::display::plural::plural;

use super::arguments::TlsVersion;
use super::verifier::SelfSigned;

/// The settings of a client. The remedy of an error depends on them.
pub(super) struct Facts<'a> {
    pub(super) has_ca: bool,
    pub(super) has_certificate: bool,
    pub(super) min: TlsVersion,
    /// The name that the server's certificate must have.
    pub(super) name: &'a ServerName<'static>,
}

/// Returns `error`, which ended a connection of `client`, as one line.
pub(super) fn sentence(client: &Facts<'_>, error: &Error) -> String {
    match error {
        Error::InvalidCertificate(error) => certificate(client, error),
        Error::AlertReceived(alert) => refusal(client, *alert),
        Error::PeerIncompatible(
            PeerIncompatible::ServerDoesNotSupportTls12Or13
            | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig,
        ) => no_version(client),
        Error::PeerIncompatible(_) => {
            format!("the server and this client have no TLS in common: {error}; update the server")
        }
        Error::DecryptError => {
            "a record of TLS is damaged; check for a faulty device on the way".into()
        }
        _ => format!("the server breaks the rules of TLS: {error}; look at its log"),
    }
}

/// Returns the error of a client and a server without a common version.
fn no_version(client: &Facts<'_>) -> String {
    let remedy = match client.min {
        TlsVersion::V12 => "let the server speak TLS 1.2 or 1.3",
        TlsVersion::V13 => "leave out --tls-min 1.3, or let the server speak TLS 1.3",
    };
    format!("the server and this client have no version of TLS in common; {remedy}")
}

/// Returns the reason why the client refuses the certificate of the server.
fn certificate(client: &Facts<'_>, error: &CertificateError) -> String {
    match error {
        CertificateError::ExpiredContext { time, not_after } => format!(
            "the server's certificate expired {} ago; renew it, or check this machine's clock",
            span(time.as_secs().saturating_sub(not_after.as_secs()))
        ),
        CertificateError::NotValidYetContext { time, not_before } => format!(
            "the server's certificate becomes valid in {}; check the clocks of both machines",
            span(not_before.as_secs().saturating_sub(time.as_secs()))
        ),
        CertificateError::UnknownIssuer if client.has_ca => {
            "no certificate of --tls-ca has signed the server's certificate; give the CA of this \
             server"
                .into()
        }
        CertificateError::UnknownIssuer => {
            "an unknown CA has signed the server's certificate; give the certificate of the CA \
             with --tls-ca"
                .into()
        }
        CertificateError::NotValidForNameContext { expected, presented } => {
            let expected = expected.to_str();
            match presented.is_empty() {
                true => format!(
                    "the server's certificate names no host (no subjectAltName), and must name \
                     {expected}; make it anew"
                ),
                false => format!(
                    "the server's certificate is for {}, not for {expected}; connect to a name \
                     that it has, or give that name with --tls-server-name",
                    presented.iter().map(|name| bare(name)).collect::<Vec<_>>().join(", ")
                ),
            }
        }
        CertificateError::InvalidPurposeContext { .. } => {
            "the server's certificate is not for servers (extendedKeyUsage); make it anew with \
             serverAuth"
                .into()
        }
        CertificateError::Other(OtherError(cause)) if cause.is::<SelfSigned>() => {
            "the server's certificate is self-signed; trust it with --tls-ca FILE, or skip the \
             check with --tls-insecure"
                .into()
        }
        error => format!("the server's certificate is unusable: {error}; make it anew"),
    }
}

/// Returns the reason why the server refuses the connection.
fn refusal(client: &Facts<'_>, alert: AlertDescription) -> String {
    use AlertDescription::{
        AccessDenied, BadCertificate, CertificateExpired, CertificateRequired, CertificateRevoked,
        CertificateUnknown, DecryptError, HandshakeFailure, ProtocolVersion, UnknownCA,
        UnrecognisedName, UnsupportedCertificate,
    };
    const NEEDS_CERTIFICATE: &str =
        "the server demands a client certificate; give one with --tls-cert and --tls-key";
    match alert {
        CertificateRequired => NEEDS_CERTIFICATE.into(),
        BadCertificate | UnknownCA | CertificateUnknown | UnsupportedCertificate | AccessDenied
            if !client.has_certificate =>
        {
            NEEDS_CERTIFICATE.into()
        }
        UnsupportedCertificate => {
            refused(alert, "give one for clients (extendedKeyUsage clientAuth)")
        }
        BadCertificate | UnknownCA | CertificateUnknown | AccessDenied | CertificateExpired
        | CertificateRevoked | DecryptError => {
            refused(alert, "give one that is valid and signed by its client CA")
        }
        ProtocolVersion => no_version(client),
        HandshakeFailure if client.has_certificate => {
            "the server and this client have no cipher in common; update the server".into()
        }
        HandshakeFailure => "the server refuses the handshake: it demands a client certificate \
                             (--tls-cert and --tls-key), or has no cipher in common"
            .into(),
        UnrecognisedName => format!(
            "the server has no certificate for {}; give a name that it has with --tls-server-name",
            client.name.to_str()
        ),
        alert => {
            format!("the server ended TLS with the alert {}; look at its log", words(alert))
        }
    }
}

/// Returns the error of a client certificate that the server refuses with `alert`.
fn refused(alert: AlertDescription, remedy: &str) -> String {
    format!("the server refuses the client certificate (alert {}); {remedy}", words(alert))
}

/// Returns the name of an alert as its standard spells it, such as `unknown ca`.
fn words(alert: AlertDescription) -> String {
    let mut words = String::new();
    for letter in format!("{alert:?}").chars() {
        let begins_word = letter.is_ascii_uppercase() && words.ends_with(char::is_lowercase);
        words.extend(begins_word.then_some(' '));
        words.push(letter);
    }
    words.to_lowercase()
}

/// Returns a name of a certificate without the kind that rustls writes around it:
/// `DnsName("localhost")`.
fn bare(presented: &str) -> &str {
    let inner = presented.split_once('(').and_then(|(_, rest)| rest.strip_suffix(')'));
    inner.unwrap_or(presented).trim_matches('"')
}

/// Returns a time in its largest whole unit.
fn span(seconds: u64) -> String {
    const MINUTE: u64 = Duration::from_mins(1).as_secs();
    const HOUR: u64 = 60 * MINUTE;
    const DAY: u64 = 24 * HOUR;
    let (unit, noun) = match seconds {
        DAY.. => (DAY, "day"),
        HOUR.. => (HOUR, "hour"),
        MINUTE.. => (MINUTE, "minute"),
        _ => (1, "second"),
    };
    plural(seconds / unit, noun).to_string()
}

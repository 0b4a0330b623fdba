//! The faults of a certificate that can be used nevertheless.

use std::time::{Duration, SystemTime};

use tinytcp_core::tls::certificate::{Certificate, date};

/// A certificate that expires within this time is a concern.
const RENEWAL: Duration = Duration::from_hours(14 * 24);

/// Returns what a person must know about the time in which `certificate` is valid.
pub(super) fn of_time(certificate: &Certificate, now: SystemTime) -> Option<String> {
    let Certificate { valid_from, valid_until, .. } = certificate;
    let (name, until) = (certificate.name(), date(*valid_until));
    if now < *valid_from {
        let from = date(*valid_from);
        return Some(format!(
            "the certificate of {name} is valid from {from}, and clients refuse it until then: \
             check the clock of this machine"
        ));
    }
    match certificate.time_left(now) {
        None => Some(format!(
            "the certificate of {name} expired on {until}, and clients refuse it: renew it, and \
             send SIGHUP"
        )),
        Some(left) if left < RENEWAL => {
            let days = left.as_secs() / Duration::from_hours(24).as_secs();
            let days = match days {
                0 => "within a day".to_owned(),
                1 => "in 1 day".to_owned(),
                days => format!("in {days} days"),
            };
            Some(format!(
                "the certificate of {name} expires {days}, on {until}: renew it, and send SIGHUP"
            ))
        }
        Some(_) => None,
    }
}

/// Returns what a person must know about the key of `certificate`.
pub(super) fn of_key(certificate: &Certificate) -> Vec<String> {
    let name = certificate.name();
    let mut concerns = Vec::new();
    if certificate.has_rsa_key {
        concerns.push(format!(
            "the key of {name} is RSA, with which a handshake takes several times as long: \
             use ECDSA P-256"
        ));
    }
    if let Some(path) = &certificate.exposed_key {
        let path = path.display();
        concerns.push(format!(
            "every user of this machine can read the private key {path}: chmod 600 {path}"
        ));
    }
    concerns
}

#[cfg(test)]
mod tests {
    use tinytcp_core::tls::settings::TlsSettings;

    use super::*;

    fn certificate() -> Certificate {
        let (certificate, key) =
            tinytcp_cli::self_signed::generate(vec!["localhost".into()]).expect("a certificate");
        let settings = TlsSettings::builder().identity_pem(certificate, key).build();
        settings.expect("a pair").certificates()[0].clone()
    }

    #[test]
    fn a_certificate_that_expires_soon_is_a_concern() {
        let day = Duration::from_hours(24);
        let certificate = certificate();
        let concern = |before: Duration| of_time(&certificate, certificate.valid_until - before);
        assert_eq!(concern(15 * day), None);
        for (before, text) in [
            (14 * day - Duration::from_secs(1), "expires in 13 days, on "),
            (2 * day - Duration::from_secs(1), "expires in 1 day, on "),
            (day - Duration::from_secs(1), "expires within a day, on "),
        ] {
            let concern = concern(before).expect(text);
            assert!(concern.contains(text) && concern.contains("localhost"), "{concern}");
        }
        let expired = of_time(&certificate, certificate.valid_until + Duration::from_secs(1));
        assert!(expired.expect("expired").contains("expired on "));
        let early = of_time(&certificate, certificate.valid_from - Duration::from_secs(1));
        assert!(early.expect("too early").contains("check the clock"));
    }

    #[test]
    fn an_exposed_key_and_an_rsa_key_are_concerns() {
        let mut certificate = certificate();
        assert_eq!(of_key(&certificate), Vec::<String>::new());
        certificate.has_rsa_key = true;
        certificate.exposed_key = Some("key.pem".into());
        let [rsa, exposed] = &of_key(&certificate)[..] else { panic!("there are two") };
        assert!(rsa.contains("use ECDSA") && exposed.ends_with("chmod 600 key.pem"));
    }
}

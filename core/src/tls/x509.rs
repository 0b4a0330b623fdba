//! Reads the facts about a certificate from its DER encoding (RFC 5280).

use std::net::IpAddr;

use ring::digest::{SHA256, digest};
use x509_cert::TbsCertificate;
use x509_cert::der::Decode;
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;

use super::certificate::Certificate;

/// Returns the facts about the certificate `der`, without those about its key; `None` if it is
/// malformed.
pub(super) fn facts(der: &[u8]) -> Option<Certificate> {
    let parsed = x509_cert::Certificate::from_der(der).ok()?;
    let facts = parsed.tbs_certificate();
    Some(Certificate {
        subject: facts.subject().to_string(),
        names: names(facts),
        fingerprint: fingerprint(der),
        valid_from: facts.validity().not_before.to_system_time(),
        valid_until: facts.validity().not_after.to_system_time(),
        has_rsa_key: false,
        exposed_key: None,
    })
}

/// Returns the subject of the certificate `der` as RFC 4514 writes it; `None` if it is malformed.
/// Its control characters are escaped.
#[must_use]
pub fn subject(der: &[u8]) -> Option<String> {
    let parsed = x509_cert::Certificate::from_der(der).ok()?;
    Some(parsed.tbs_certificate().subject().to_string())
}

/// Returns the names and addresses of the extension `subjectAltName`.
fn names(facts: &TbsCertificate) -> Vec<String> {
    let Ok(Some((_, SubjectAltName(names)))) = facts.get_extension() else { return Vec::new() };
    names.iter().filter_map(shown).collect()
}

fn shown(name: &GeneralName) -> Option<String> {
    match name {
        GeneralName::DnsName(name) => Some(name.as_str().to_ascii_lowercase()),
        GeneralName::IpAddress(bytes) => {
            let bytes = bytes.as_bytes();
            let v4 = <[u8; 4]>::try_from(bytes).map(IpAddr::from);
            let ip = v4.or_else(|_| <[u8; 16]>::try_from(bytes).map(IpAddr::from));
            ip.ok().map(|ip| ip.to_string())
        }
        _ => None,
    }
}

fn fingerprint(der: &[u8]) -> String {
    let hash = digest(&SHA256, der);
    hash.as_ref().iter().map(|byte| format!("{byte:02X}")).collect::<Vec<_>>().join(":")
}

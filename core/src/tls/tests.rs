use std::time::{Duration, SystemTime};

use rcgen::{CertificateParams, CertifiedKey, DnType, KeyPair, generate_simple_self_signed};

use super::TlsSettings;
use super::error::TlsError;
use super::settings::TlsBuilder;

/// A self-signed certificate for `names`, and its key, in PEM format.
fn identity(names: &[&str]) -> (String, String) {
    let names: Vec<String> = names.iter().map(ToString::to_string).collect();
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(names).expect("valid names");
    (cert.pem(), signing_key.serialize_pem())
}

fn with((certificate, key): (String, String)) -> TlsBuilder {
    TlsSettings::builder().identity_pem(certificate, key)
}

#[track_caller]
fn check_error(builder: TlsBuilder, parts: &[&str]) {
    let error: TlsError = builder.build().expect_err("it is refused");
    let text = error.to_string();
    assert!(parts.iter().all(|part| text.contains(part)), "{text}");
    assert!(!text.contains('\n') && !text.ends_with('.'), "{text}");
}

#[test]
fn settings_without_an_identity_are_refused() {
    check_error(TlsSettings::builder(), &["there is no certificate"]);
}

#[test]
fn a_missing_file_is_named() {
    let builder = TlsSettings::builder().identity_files("/none/cert.pem", "/none/key.pem");
    check_error(builder, &["cannot read /none/cert.pem", "No such file", "check the path"]);
    let folder = TlsSettings::builder().identity_files("/", "/");
    check_error(folder, &["cannot read /: it is no file"]);
    let builder = with(identity(&["localhost"])).client_ca_file("/none/ca.pem");
    check_error(builder, &["cannot read /none/ca.pem"]);
}

#[test]
fn a_key_of_another_certificate_is_refused() {
    let ((certificate, _), (_, key)) = (identity(&["a.example"]), identity(&["b.example"]));
    check_error(with((certificate, key)), &["is not the key of", "use files that belong together"]);
}

#[test]
fn swapped_files_are_named() {
    let (certificate, key) = identity(&["localhost"]);
    check_error(
        with((key.clone(), key.clone())),
        &["the certificate has no certificate", "it has a private key"],
    );
    check_error(
        with((certificate.clone(), certificate)),
        &["the private key has no private key", "it has a certificate"],
    );
}

#[test]
fn a_file_of_another_kind_is_refused_with_the_block_it_needs() {
    let (certificate, key) = identity(&["localhost"]);
    check_error(with((String::new(), key.clone())), &["-----BEGIN CERTIFICATE-----"]);
    check_error(with(("nonsense\n".into(), key)), &["-----BEGIN CERTIFICATE-----"]);
    check_error(with((certificate.clone(), "\n".into())), &["-----BEGIN PRIVATE KEY-----"]);
    let encrypted = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE \
                     KEY-----\n";
    let older = "-----BEGIN EC PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nAAAA\n-----END EC \
                 PRIVATE KEY-----\n";
    for key in [encrypted, older] {
        let builder = with((certificate.clone(), key.into()));
        check_error(builder, &["encrypted", "openssl pkey"]);
    }
}

#[test]
fn a_file_that_is_cut_off_is_refused() {
    let (certificate, key) = identity(&["localhost"]);
    let cut = |text: &str| text[..text.len() / 2].to_owned();
    check_error(
        with((cut(&certificate), key.clone())),
        &["the certificate is no PEM file: a block has no -----END line"],
    );
    check_error(with((certificate, cut(&key))), &["the private key is no PEM file"]);
    let empty = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    check_error(with((empty.into(), key)), &["has a malformed certificate"]);
}

#[test]
fn the_facts_about_a_certificate_are_those_of_its_text() {
    let mut params = CertificateParams::new(["Example.ORG".into(), "::1".into()]).expect("names");
    params.distinguished_name.push(DnType::CommonName, "a, b");
    params.not_before = (SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000)).into();
    params.not_after = (SystemTime::UNIX_EPOCH + Duration::from_secs(2_000_000_000)).into();
    let key = KeyPair::generate().expect("a key");
    let signed = params.self_signed(&key).expect("a certificate");
    let settings = with((signed.pem(), key.serialize_pem())).build().expect("a pair");
    let [certificate] = &**settings.certificates() else { panic!("there is one") };
    assert_eq!(certificate.subject, "CN=a\\, b");
    assert_eq!(certificate.names, ["example.org", "::1"]);
    assert_eq!(certificate.name(), "example.org");
    assert_eq!(certificate.fingerprint.len(), 95);
    assert!(!certificate.has_rsa_key && certificate.exposed_key.is_none());
    let at = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
    assert_eq!(
        (certificate.valid_from, certificate.valid_until),
        (at(1_000_000_000), at(2_000_000_000))
    );
    assert_eq!(certificate.time_left(at(1_999_999_990)), Some(Duration::from_secs(10)));
    assert_eq!(certificate.time_left(at(2_000_000_001)), None);
}

#[test]
fn a_wildcard_stands_for_one_label() {
    let settings = with(identity(&["*.example.org", "example.net"])).build().expect("a pair");
    let [certificate] = &**settings.certificates() else { panic!("there is one") };
    for (host, expected) in [
        ("a.example.org", true),
        ("example.net", true),
        ("example.org", false),
        ("a.b.example.org", false),
        ("aexample.org", false),
        ("example.net.", false),
        ("", false),
    ] {
        assert_eq!(certificate.is_for(host), expected, "{host}");
    }
}

#[test]
fn tickets_are_kept_while_the_same_clients_are_trusted() {
    let folder = std::env::temp_dir().join(format!("tinytcp-tickets-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    let ca = |name: &str| {
        let path = folder.join(name);
        std::fs::write(&path, identity(&[name]).0).expect("a file");
        path
    };
    let (one, other) = (ca("one"), ca("other"));
    let settings = |ca: Option<&std::path::Path>, replaced: Option<&TlsSettings>| {
        let mut builder = with(identity(&["localhost"]));
        if let Some(ca) = ca {
            builder = builder.client_ca_file(ca);
        }
        if let Some(replaced) = replaced {
            builder = builder.replacing(replaced);
        }
        builder.build().expect("a pair")
    };
    let decrypts = |settings: &TlsSettings, by: &TlsSettings| {
        let ticket = by.config().ticketer.encrypt(b"state").expect("a ticket");
        settings.config().ticketer.decrypt(&ticket).is_some()
    };
    let first = settings(Some(&one), None);
    assert!(decrypts(&settings(Some(&one), Some(&first)), &first));
    assert!(!decrypts(&settings(Some(&other), Some(&first)), &first));
    assert!(!decrypts(&settings(None, Some(&first)), &first));
    assert!(!decrypts(&settings(Some(&one), None), &first));
    std::fs::remove_dir_all(folder).expect("the folder is removed");
}

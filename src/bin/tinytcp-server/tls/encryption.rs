//! The TLS settings of all listeners: read at the start, and again at a reload.

use std::net::IpAddr;
use std::time::SystemTime;

use tinytcp_cli::self_signed;
use tinytcp_core::tls::certificate::{Certificate, date};
use tinytcp_core::tls::settings::{TlsBuilder, TlsSettings};

use super::arguments::{NEEDS_CERTIFICATE, TlsArguments};
use super::concerns;
use super::options::TlsOptions;
use crate::program_error::ProgramError;

/// The TLS settings in use, each with the options of the URLs that ask for it. Listeners with the
/// same options share their settings, and so their tickets.
#[derive(Debug, Default)]
pub struct Encryption {
    in_use: Vec<(TlsOptions, TlsSettings)>,
    /// The certificate and the key that were made for a trial.
    self_signed: Option<(String, String)>,
    /// The hosts of the listeners, for which a self-signed certificate is valid too.
    hosts: Vec<String>,
}

impl Encryption {
    /// Creates the settings without a listener. A self-signed certificate is valid for `hosts` too.
    pub fn new(hosts: impl IntoIterator<Item = String>) -> Self {
        Self { hosts: hosts.into_iter().collect(), ..Self::default() }
    }

    /// Returns the settings of a listener with `options`. The files are read once for all listeners
    /// with the same options.
    ///
    /// # Errors
    /// When there is no certificate, or a file cannot be used.
    pub fn settings(
        &mut self,
        options: &TlsOptions,
        arguments: &TlsArguments,
    ) -> Result<TlsSettings, ProgramError> {
        if let Some((_, settings)) = self.in_use.iter().find(|(other, _)| other == options) {
            return Ok(settings.clone());
        }
        let settings = self.build(options, arguments, None)?;
        self.in_use.push((options.clone(), settings.clone()));
        Ok(settings)
    }

    /// Reads all files again. Returns the new settings, which are not in use yet.
    ///
    /// # Errors
    /// When any file cannot be used.
    pub fn read_again(&self, arguments: &TlsArguments) -> Result<Self, ProgramError> {
        let mut new = Self {
            in_use: Vec::new(),
            self_signed: self.self_signed.clone(),
            hosts: self.hosts.clone(),
        };
        for (options, present) in &self.in_use {
            let settings = new.build(options, arguments, Some(present))?;
            new.in_use.push((options.clone(), settings));
        }
        Ok(new)
    }

    /// Returns pairs of the present settings and those of `new`, which was read again.
    pub fn replacements(&self, new: &Self) -> Vec<(TlsSettings, TlsSettings)> {
        let settings = |(_, settings): &(_, TlsSettings)| settings.clone();
        self.in_use.iter().map(settings).zip(new.in_use.iter().map(settings)).collect()
    }

    /// Returns the differences of `new`, which was read again, as texts for a person.
    pub fn changes(&self, new: &Self) -> Vec<String> {
        let known: Vec<&Certificate> = self.certificates().collect();
        let unknown = new.certificates().filter(|it| !known.contains(it));
        let mut changes: Vec<_> =
            unknown.map(|it| format!("certificate of {}", shown(it))).collect();
        if !self.replacements(new).iter().all(|(old, new)| old.trusts_same_clients(new)) {
            changes.push("the authorities of clients".into());
        }
        changes
    }

    /// True if a reload can find other certificates.
    pub fn is_of_files(&self, arguments: &TlsArguments) -> bool {
        self.in_use.iter().any(|(options, _)| {
            let has_ca = options.client_ca.is_some() || arguments.tls_client_ca.is_some();
            has_ca || options.has_certificate() || !arguments.tls_cert.is_empty()
        })
    }

    /// True if a listener is encrypted.
    pub fn is_used(&self) -> bool {
        !self.in_use.is_empty()
    }

    /// Logs the certificates, and warns of what is wrong with them.
    pub fn log(&self) {
        for certificate in self.certificates() {
            let expiry = certificate.valid_until.duration_since(SystemTime::UNIX_EPOCH);
            let made = if is_made(certificate) { "self-signed " } else { "" };
            log::info!(
                event = "certificate", subject = certificate.subject,
                sha256 = certificate.fingerprint,
                expiry_time_seconds = expiry.unwrap_or_default().as_secs();
                "{made}certificate of {}", shown(certificate)
            );
        }
        self.warn();
    }

    /// Warns of what is wrong with the certificates.
    pub fn warn(&self) {
        self.concerns().iter().for_each(|concern| log::warn!(event = "certificate"; "{concern}"));
    }

    /// Returns the certificates and what is wrong with them, for `--check`.
    pub fn report(&self) -> Vec<String> {
        let certificates = self.certificates().map(|it| match is_made(it) {
            true => "a self-signed certificate, made at each start".to_owned(),
            false => format!("certificate of {}", shown(it)),
        });
        let concerns = self.concerns();
        certificates.chain(concerns.iter().map(|concern| format!("warning: {concern}"))).collect()
    }

    fn concerns(&self) -> Vec<String> {
        let now = SystemTime::now();
        let of = |it| concerns::of_time(it, now).into_iter().chain(concerns::of_key(it));
        self.certificates().flat_map(of).collect()
    }

    /// Returns all certificates, each once.
    fn certificates(&self) -> impl Iterator<Item = &Certificate> {
        let mut certificates: Vec<&Certificate> = Vec::new();
        for certificate in self.in_use.iter().flat_map(|(_, it)| it.certificates().iter()) {
            if !certificates.contains(&certificate) {
                certificates.push(certificate);
            }
        }
        certificates.into_iter()
    }

    fn build(
        &mut self,
        options: &TlsOptions,
        arguments: &TlsArguments,
        present: Option<&TlsSettings>,
    ) -> Result<TlsSettings, ProgramError> {
        let mut builder = self.with_identities(TlsSettings::builder(), options, arguments)?;
        if let Some(path) = options.client_ca.as_ref().or(arguments.tls_client_ca.as_ref()) {
            builder = builder.client_ca_file(path);
        }
        if let Some(present) = present {
            builder = builder.replacing(present);
        }
        let min = options.min.unwrap_or(arguments.tls_min);
        builder.min_version(min.into()).build().map_err(ProgramError::failure)
    }

    /// Adds the certificates of the URL, or those of the flags.
    fn with_identities(
        &mut self,
        mut builder: TlsBuilder,
        options: &TlsOptions,
        arguments: &TlsArguments,
    ) -> Result<TlsBuilder, ProgramError> {
        let (certificates, keys) = match options.has_certificate() {
            true => (&options.certificates, &options.keys),
            false => (&arguments.tls_cert, &arguments.tls_key),
        };
        for (certificates, key) in certificates.iter().zip(keys) {
            builder = builder.identity_files(certificates, key);
        }
        if certificates.is_empty() {
            if !arguments.tls_self_signed {
                // The URLs have been checked: this is a socket of the service manager.
                return Err(ProgramError::Failure(format!(
                    "a socket with +tls {NEEDS_CERTIFICATE}"
                )));
            }
            let (certificate, key) = self.self_signed()?;
            builder = builder.identity_pem(certificate, key);
        }
        Ok(builder)
    }

    /// Returns the certificate and the key for a trial, which are made once.
    fn self_signed(&mut self) -> Result<(String, String), ProgramError> {
        if let Some(identity) = &self.self_signed {
            return Ok(identity.clone());
        }
        let mut hosts = ["localhost", "127.0.0.1", "::1"].map(str::to_owned).to_vec();
        let is_any = |host: &str| host.parse().is_ok_and(|ip: IpAddr| ip.is_unspecified());
        for host in &self.hosts {
            if !hosts.contains(host) && !is_any(host) {
                hosts.push(host.clone());
            }
        }
        let identity = self_signed::generate(hosts).map_err(|error| {
            ProgramError::Failure(format!(
                "--tls-self-signed cannot make a certificate: {error}; use --tls-cert"
            ))
        })?;
        Ok(self.self_signed.insert(identity).clone())
    }
}

/// A certificate in a line, for a person.
fn shown(certificate: &Certificate) -> String {
    let names = certificate.names.join(", ");
    let names = if names.is_empty() { &certificate.subject } else { &names };
    let (until, fingerprint) = (date(certificate.valid_until), &certificate.fingerprint);
    format!("{names}, valid until {until}, SHA-256 {fingerprint}")
}

/// True if the certificate was made for a trial.
fn is_made(certificate: &Certificate) -> bool {
    certificate.subject.strip_prefix("CN=") == Some(self_signed::COMMON_NAME)
}

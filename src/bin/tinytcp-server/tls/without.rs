//! A server that is built without the feature `tls`: it has no flags for TLS, and refuses URLs with
//! `+tls`.

use std::time::Duration;

use tinytcp_cli::UsageError;
use tinytcp_core::limits::Timeouts;
use tinytcp_core::status::Status;
use tinytcp_core::tls::TlsSettings;

use crate::program_error::ProgramError;

/// The flags for TLS: none.
#[derive(Clone, Debug, clap::Args)]
pub struct TlsArguments {}

impl TlsArguments {
    pub const CHANGEABLE: &[&str] = &[];

    pub fn contradiction<'a>(
        &self,
        _: impl Iterator<Item = (String, &'a TlsOptions)>,
        _has_sockets: bool,
    ) -> Option<String> {
        None
    }

    pub const fn timeouts(&self, timeouts: Timeouts) -> Timeouts {
        timeouts
    }
}

/// The options of a URL with `+tls`: no such URL is accepted, so there is no value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TlsOptions {}

impl TlsOptions {
    pub const KEYS: &[&str] = &[];

    /// Refuses them.
    ///
    /// # Errors
    /// Always.
    pub fn parse(_: &[(&str, &str)]) -> Result<Self, UsageError> {
        Err("this server was built without TLS: build it with the feature `tls`, or leave out +tls"
            .into())
    }
}

/// The TLS settings of all listeners: none.
#[derive(Debug, Default)]
pub struct Encryption {}

impl Encryption {
    pub fn new(_: impl IntoIterator<Item = String>) -> Self {
        Self {}
    }

    pub fn settings(
        &mut self,
        options: &TlsOptions,
        _: &TlsArguments,
    ) -> Result<TlsSettings, ProgramError> {
        match *options {}
    }

    pub fn read_again(&self, _: &TlsArguments) -> Result<Self, ProgramError> {
        Ok(Self {})
    }

    pub fn replacements(&self, _: &Self) -> Vec<(TlsSettings, TlsSettings)> {
        Vec::new()
    }

    pub fn changes(&self, _: &Self) -> Vec<String> {
        Vec::new()
    }

    pub fn is_of_files(&self, _: &TlsArguments) -> bool {
        false
    }

    pub fn log(&self) {}

    pub fn warn(&self) {}

    pub fn report(&self) -> Vec<String> {
        Vec::new()
    }
}

/// A check of certificates: there are none, so there is no value.
#[derive(Debug)]
pub enum DailyCheck {}

impl DailyCheck {
    pub fn of(_: &Encryption) -> Option<Self> {
        None
    }

    pub fn observe(&mut self, _: &Status) -> Duration {
        match *self {}
    }
}

#[cfg(test)]
mod tests {
    use crate::listen_address::ListenAddress;

    #[test]
    fn a_url_with_tls_is_refused_with_the_reason() {
        let error = ListenAddress::parse("text+tls://127.0.0.1:1").map(|_| ()).expect_err("no TLS");
        assert!(error.to_string().contains("was built without TLS"));
    }
}

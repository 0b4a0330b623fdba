//! TLS as the server uses it: the flags, the settings of each listener, and their certificates.
//!
//! ```text
//!   arguments   the flags                   encryption  the settings of all listeners
//!   options     those of a listener's URL   concerns    what is wrong with a certificate
//!   daily_check warns of certificates that expire while the server runs
//! ```
//!
//! Without the feature `tls` the names are the same: there are no flags, and a URL with `+tls` is
//! refused, so that no other module needs to know the feature.

#[cfg(feature = "tls")]
mod arguments;
#[cfg(feature = "tls")]
mod concerns;
#[cfg(feature = "tls")]
mod daily_check;
#[cfg(feature = "tls")]
mod encryption;
#[cfg(feature = "tls")]
mod options;
#[cfg(feature = "tls")]
#[cfg(test)]
mod tests;
#[cfg(not(feature = "tls"))]
mod without;

#[cfg(feature = "tls")]
pub use arguments::TlsArguments;
#[cfg(feature = "tls")]
pub use daily_check::DailyCheck;
#[cfg(feature = "tls")]
pub use encryption::Encryption;
#[cfg(feature = "tls")]
pub use options::TlsOptions;
#[cfg(not(feature = "tls"))]
pub use without::{DailyCheck, Encryption, TlsArguments, TlsOptions};

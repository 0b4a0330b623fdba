//! TLS of the programs that connect to a server: their flags, and the settings of an encrypted
//! connection.
//!
//! ```text
//!   arguments  the flags                  explain  an error as a fact and a remedy
//!   files      certificates and keys      client   the settings of rustls, from the flags
//!   verifier   the check of the server's certificate
//! ```
//!
//! The flags and [`TlsClient`] exist without the feature `tls` too: there are then no flags, and no
//! value of the type, so that callers need no `cfg`.

#[cfg(feature = "tls")]
mod arguments;
#[cfg(feature = "tls")]
mod client;
#[cfg(feature = "tls")]
mod explain;
#[cfg(feature = "tls")]
mod files;
#[cfg(feature = "tls")]
mod verifier;
#[cfg(not(feature = "tls"))]
mod without;

#[cfg(feature = "tls")]
pub use arguments::TlsArguments;
#[cfg(feature = "tls")]
pub use client::TlsClient;
#[cfg(not(feature = "tls"))]
pub use without::{TlsArguments, TlsClient};

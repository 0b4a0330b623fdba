//! The flags for TLS of the server.

#[path = "../../src/bin/tinytcp-server/tls/arguments.rs"]
#[allow(missing_docs, reason = "the server documents these items")]
mod arguments;
#[path = "../../src/bin/tinytcp-server/tls/options.rs"]
#[allow(missing_docs, reason = "the server documents these items")]
mod options;

pub use arguments::TlsArguments;
pub use options::TlsOptions;

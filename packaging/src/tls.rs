//! The flags for TLS of the server.

#[path = "../../src/bin/tinytcp-server/tls/arguments.rs"]
#[allow(missing_docs, reason = "the server documents what it uses")]
mod arguments;
#[path = "../../src/bin/tinytcp-server/tls/options.rs"]
#[allow(missing_docs, reason = "the server documents what it uses")]
mod options;

pub use arguments::TlsArguments;
pub use options::TlsOptions;

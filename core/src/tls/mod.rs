//! TLS: the certificates of a listener, and the layer that encrypts a connection.
//!
//! Without the feature `tls` the types have the same names and no values, so that no other module
//! needs to know the feature.

// Bytes of a peer reach this code first: no value of them may cause a panic, and no length may be
// truncated.
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::string_slice,
        clippy::panic,
        clippy::unreachable,
        clippy::cast_possible_truncation
    )
)]

pub mod certificate;
#[cfg_attr(not(feature = "tls"), path = "without/client.rs")]
pub mod client;
pub mod error;
#[cfg(feature = "tls")]
mod identity;
pub mod info;
#[cfg_attr(not(feature = "tls"), path = "without/layer.rs")]
pub mod layer;
#[cfg_attr(not(feature = "tls"), path = "without/settings.rs")]
pub mod settings;
#[cfg(feature = "tls")]
#[cfg(test)]
mod tests;
#[cfg(feature = "tls")]
pub mod x509;

pub use info::TlsInfo;
pub use layer::Layer;
pub use settings::TlsSettings;

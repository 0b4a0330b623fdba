//! The load generator as a program: its counts, reports and exit codes, against servers of every
//! kind.
#![cfg(feature = "load")]

#[path = "../support/mod.rs"]
mod support;

mod agreement;
mod arguments;
mod blame;
mod broadcast;
mod compare;
mod connecting;
mod exchanges;
mod files;
mod gates;
mod gone;
mod hold;
mod interruption;
mod lifetime;
mod live;
mod log_requests;
mod merge;
mod pace;
mod preflight;
mod raw;
mod replies;
mod request_data;
mod runs;
mod schedule;
mod search;
mod servers;
mod silence;
#[cfg(feature = "tls")]
mod tls;
#[cfg(feature = "tls")]
mod tls_failures;
#[cfg(feature = "tls")]
mod tls_reload;
mod unix;

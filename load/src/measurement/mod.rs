//! The measurements of a run: latencies, counts, causes of failures, and the outcome with all of
//! them.

pub mod averages;
pub mod by_address;
pub mod causes;
pub mod counts;
pub mod exchange;
pub mod format;
pub mod latency;
pub mod logged_request;
pub mod outcome;
pub mod rank_test;
pub mod settings;
pub mod tls;

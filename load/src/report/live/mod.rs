//! What a run shows while it goes on: a file with a row per second, and metrics of Prometheus.

pub mod metrics;
pub mod request_log;
pub mod rows;

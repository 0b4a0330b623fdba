//! The outputs during a run: a file with a row per second, and metrics for Prometheus.

pub mod metrics;
pub mod request_log;
pub mod rows;

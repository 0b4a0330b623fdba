//! Logging: the activity log of connections and messages, and the throttle of warnings.

pub mod activity;
pub mod throttle;

//! The ground floor.
pub mod units;

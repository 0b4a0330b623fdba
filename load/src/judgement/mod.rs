//! The judgement of the outcome of a run: its verdict, its gates, and the search for the highest
//! rate.

pub mod gates;
pub mod objective;
pub mod search;
pub mod verdict;

//! The report as a file for programs.

pub(super) mod csv;
pub(super) mod hgrm;
pub(super) mod json;

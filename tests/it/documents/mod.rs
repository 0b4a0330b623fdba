//! The documents agree with the tree: names of files and tests, links, flags, and metrics.

mod files;
mod flags;
mod help;
mod links;
mod metrics;
mod minutes;
mod tests;

//! The documents agree with the tree: names of files and tests, links, and flags.

#[path = "../support/mod.rs"]
mod support;

mod files;
mod flags;
mod links;
mod tests;

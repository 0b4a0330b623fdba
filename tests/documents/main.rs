//! The documents agree with the tree: names of files and tests, links, flags, width of lines.

#[path = "../support/mod.rs"]
mod support;

mod files;
mod flags;
mod links;
mod tests;
mod width;

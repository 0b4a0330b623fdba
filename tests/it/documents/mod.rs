//! The documents agree with the tree: names of files and tests, links, and flags.

mod files;
mod flags;
mod links;
mod minutes;
mod tests;

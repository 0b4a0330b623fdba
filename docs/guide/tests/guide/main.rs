//! The guide, run: each trap is shown, each repair holds, and the pages tell what the programs do.

mod pages;
mod program;
mod scenarios;
mod steps;
mod support;
mod tracer;
mod traces;

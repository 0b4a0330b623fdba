//! The engine: the threads and connections that execute a plan.
//!
//! ```text
//!   run --> worker (one per thread) --> connection
//!    ^        |  slots               which connections to open, and when
//!    |        |  start_barrier       all threads start together
//!    |        |  free_connections    open loop: which connections can send
//!    +--------+  slice_recorder      sends the counts of each slice
//! ```

pub mod collector;
pub mod connect;
pub mod connection;
pub mod cpu_usage;
pub mod free_connections;
pub mod interruption;
mod partial_slice;
pub mod run;
pub mod slice_recorder;
pub mod slots;
pub mod start_barrier;
pub mod thread_state;
pub mod timer;
pub mod worker;

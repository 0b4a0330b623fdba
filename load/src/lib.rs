//! The load generator of tinytcp, which checks every reply.
//!
//! Each module uses only the modules below it:
//!
//! ```text
//!  command_line   arguments -> workload -> plan; preflight; exit code
//!  broadcast      rooms: members that check each delivery, publishers, and their own report
//!  report         the outcome as text, JSON, CSV and HTML; merging and comparing reports; what a
//!                 run shows while it goes on: progress, live rows, metrics, a log of requests
//!  judgement      what the outcome proves: verdict, gates, search for the highest rate
//!  engine         threads, connections, slices: plan -> outcome
//!  traffic        requests, when they are due, and the check of replies
//!  measurement    latencies, counts, causes of failures, outcome
//! ```
//!
//! All of them share [`error`].
//!
//! A run takes this way through them:
//!
//! ```text
//!  Arguments -> Workload -> Plan
//!     |
//!  run: 1 Worker per thread --> LoadConnection: script -> socket -> ReplyChecker -> Counts
//!     |      ^ ConnectionSlots, Schedule, FreeConnections    SliceRecorder -> slices --+
//!     +-- RunOutcome <-----------------------------------------------------------------+
//!     |
//!  verdict, gates -> Report -> terminal, files, exit code
//! ```

pub mod broadcast;
pub mod command_line;
pub mod engine;
pub mod error;
#[cfg(test)]
mod fixtures;
pub mod judgement;
pub mod measurement;
pub mod report;
pub mod traffic;

pub use command_line::{command, main};

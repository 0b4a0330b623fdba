//! The inputs of the fuzzers for the server and its client, and the checks of each: one file per
//! target.
//!
//! ```text
//!   targets    lines  frames                    a decoder against a naive one
//!              text  binary  echo  chat         a session against the protocol's page
//!              client_reply  client_request     the client against any server, and against ours
//!              admin                            a request to the administrative listener
//!              nats                             the operations of a broker against naive ones
//!              proxy                            the header of a proxy against another parser
//!              tls                              the layer of TLS against what a client has sealed
//!              stream                           the whole loop in a simulated world
//!      |
//!      +-- plan        how the fuzzer cuts the bytes, and when the peer falls quiet
//!      +-- log_lines   no log line holds a raw byte of a peer
//!      +-- seeds       the transcripts of `protocol.md` as inputs to start from
//! ```
//!
//! A check panics if it fails, and the fuzzer keeps the input.

pub mod admin;
pub mod binary;
pub mod chat;
pub mod client_reply;
pub mod client_request;
pub mod echo;
pub mod frames;
pub mod lines;
mod log_lines;
pub mod nats;
mod plan;
pub mod proxy;
pub mod seeds;
#[path = "../../tests/simulation/simulator/mod.rs"]
mod simulator;
pub mod stream;
mod talk;
pub mod text;
#[path = "../../tests/support/text_model.rs"]
mod text_model;
pub mod tls;
#[path = "../../tests/support/transcripts.rs"]
#[expect(
    dead_code,
    reason = "what a transcript expects of a server is for the tests with a real one"
)]
mod transcripts;

/// A target: its name and what it checks.
pub type Target = (&'static str, fn(&[u8]));

pub const TARGETS: [Target; 13] = [
    ("admin", admin::check),
    ("lines", lines::check),
    ("frames", frames::check),
    ("text", text::check),
    ("binary", binary::check),
    ("echo", echo::check),
    ("chat", chat::check),
    ("client_reply", client_reply::check),
    ("client_request", client_request::check),
    ("nats", nats::check),
    ("proxy", proxy::check),
    ("tls", tls::check),
    ("stream", stream::check),
];

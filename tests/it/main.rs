//! Black-box tests of the programs and the library, and tests of the sources and documents: one
//! file per subject.
//!
//! A test that needs its own process is a test program beside this folder.

#[path = "../support/mod.rs"]
mod support;

mod activity_log;
mod address_limits;
mod address_space;
mod admin;
mod alerts;
mod architecture;
mod attack;
mod bus;
mod capacity;
mod configuration;
mod crowds;
mod deadlines;
mod documents;
mod encryption;
mod examples;
mod fairness;
mod half_close;
mod haproxy;
mod json_log;
mod lingering;
mod listening;
mod memory;
mod nats;
mod netcats;
mod original_clients;
mod over_tls;
mod oversize;
mod own_ports;
mod pipelining;
mod process;
mod protocol_md;
mod proxies;
mod readme;
mod real_tools;
mod reload;
mod resets;
mod restarts;
mod service_manager;
mod session_text;
mod shutdown;
mod silent_death;
mod sinks;
mod slow_readers;
mod startup;
mod status;
mod stops;
mod tls;
mod unix;
mod wire_binary;
mod wire_chat;
mod wire_echo;
mod wire_text;

//! A TCP server that serves all connections in one thread: a hand-written readiness loop over
//! `mio`, a slab of connections, and four small protocols. The programs of this package are the
//! server, a client, and a load generator.
//!
//! # A server in a few lines
//!
//! ```
//! use std::io::{Read, Write};
//! use std::net::{Shutdown, TcpStream};
//!
//! use tinytcp::protocol::text::Text;
//! use tinytcp::server::{Config, Server};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let server = Server::bind(&Config::default().listen(([127, 0, 0, 1], 0).into(), Text::new()))?;
//! let addr = server.addresses()[0].addr().expect("a TCP address");
//! let handle = server.handle();
//! let thread = std::thread::spawn(move || server.run());
//!
//! let mut client = TcpStream::connect(addr)?;
//! client.write_all(b"ECHO hello\n")?;
//! client.shutdown(Shutdown::Write)?;
//! let mut answers = String::new();
//! client.read_to_string(&mut answers)?;
//! assert_eq!(answers, "WELCOME, I'm TinyServer not pressure\nECHO hello\n");
//!
//! handle.stop();
//! let status = thread.join().expect("the loop never panics")?;
//! assert_eq!(status.total().messages, 1);
//! # Ok(())
//! # }
//! ```
//!
//! A new command is one entry in a table ([`protocol::command`], `examples/calc.rs`). A new protocol
//! is one implementation of [`protocol::Protocol`] and [`protocol::Session`]
//! (`examples/chargen.rs`).

#[cfg(feature = "testing")]
pub use tinytcp_core::testing;
pub use tinytcp_core::{
    buffers, close_reason, connection, display, limits, logging, os, protocol, queues, server,
    status, wire,
};

/// The code in README, compiled.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}

//! A TCP server in one thread: a readiness loop written by hand over `mio`, and four small
//! protocols.
//!
//! A [`Server`] listens on endpoints, each with its [`Protocol`](protocol::Protocol). It serves
//! every client from the thread that calls [`Server::run`], without a runtime and without a thread
//! per connection. A [`Handle`] stops it, changes its [`Settings`] and reports its
//! [`Status`] from any other thread.
//!
//! # Start a server
//!
//! ```
//! use std::io::{Read, Write};
//! use std::net::{Shutdown, TcpStream};
//!
//! use tinytcp::Server;
//! use tinytcp::protocol::Text;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let server = Server::builder().listen(([127, 0, 0, 1], 0), Text::new()).build()?;
//! let addr = server.addresses()[0].addr().expect("a TCP listener");
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
//! # Add a command or a protocol
//!
//! A command is a function in the table of [`Text`](protocol::Text) or of
//! [`Binary`](protocol::Binary): see [`Command`](protocol::Command) and `examples/calc.rs`. A
//! protocol is an implementation of [`Protocol`](protocol::Protocol) and
//! [`Session`](protocol::Session): see `examples/shout.rs`. The feature `testing` adds
//! `testing::SessionHarness`, which runs a session without a network and checks that it keeps the
//! contract.
//!
//! # Features
//!
//! | feature | adds | by default |
//! |---|---|---|
//! | `server` | the program `tinytcp-server` | yes |
//! | `client` | the program `tinytcp-client` | yes |
//! | `load` | the program `tinytcp-load` | yes |
//! | `tls` | encryption: [`Listener::encrypted`], `+tls` in the URLs of the programs | yes |
//! | `testing` | the module `testing` | no |
//!
//! The programs need dependencies that the library does not: use it with
//! `default-features = false`.
//!
//! # What is stable
//!
//! The names of this crate are meant for use. Everything else is in `tinytcp-core`, which promises
//! nothing between versions.

#[doc(inline)]
pub use tinytcp_core::bus::settings::{BusError, BusSettings};
#[doc(inline)]
pub use tinytcp_core::close_reason::CloseReason;
#[doc(inline)]
pub use tinytcp_core::limits::{Limits, Settings, Timeouts};
#[doc(inline)]
pub use tinytcp_core::os::subnet::Subnet;
#[doc(inline)]
pub use tinytcp_core::server::{BindError, Bound, Builder, Endpoint, Handle, Listener, Server};
#[doc(inline)]
pub use tinytcp_core::status::{
    BusStatus, Counters, ListenerStatus, Obstacle, RoomStatus, State, Status,
};

/// Protocols: the built-in ones, commands for them, and the traits of others.
pub mod protocol {
    #[doc(inline)]
    pub use tinytcp_core::os::peer::PeerAddr;
    #[doc(inline)]
    pub use tinytcp_core::protocol::admin::Admin;
    #[doc(inline)]
    pub use tinytcp_core::protocol::binary::Binary;
    #[doc(inline)]
    pub use tinytcp_core::protocol::chat::protocol as chat;
    #[doc(inline)]
    pub use tinytcp_core::protocol::command::{Call, Command, Outcome};
    #[doc(inline)]
    pub use tinytcp_core::protocol::echo::protocol as echo;
    #[doc(inline)]
    pub use tinytcp_core::protocol::text::Text;
    #[doc(inline)]
    pub use tinytcp_core::protocol::{
        Accepted, Context, Farewell, Next, Output, Protocol, Session, Step, errors,
    };
    #[doc(inline)]
    pub use tinytcp_core::wire::line::{Ending, Item, LineDecoder};
}

/// Encrypted listeners. The settings of one can only be made with the feature `tls`.
pub mod tls {
    #[doc(inline)]
    pub use tinytcp_core::tls::TlsSettings;
    #[doc(inline)]
    pub use tinytcp_core::tls::certificate::Certificate;
    #[cfg(feature = "tls")]
    #[doc(inline)]
    pub use tinytcp_core::tls::error::TlsError;
    #[doc(inline)]
    pub use tinytcp_core::tls::info::TlsInfo;
    #[cfg(feature = "tls")]
    #[doc(inline)]
    pub use tinytcp_core::tls::settings::{TlsBuilder, TlsVersion};
}

/// Tools for tests of a protocol or of a whole server. They may change between versions.
#[cfg(feature = "testing")]
pub mod testing {
    #[doc(inline)]
    pub use tinytcp_core::testing::*;
}

/// The code in README, compiled.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}

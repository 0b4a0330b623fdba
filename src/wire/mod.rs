//! What travels on the wire: pure functions from bytes to items, shared by the server, the client and the load generator.

pub mod address;
pub mod frame;
pub mod line;
pub mod target;
pub mod telnet;
pub mod tls;

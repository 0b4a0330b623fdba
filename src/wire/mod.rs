//! What travels on the wire: pure functions from bytes to items, shared by the server and the client.

pub mod address;
pub mod frame;
pub mod line;
pub mod telnet;

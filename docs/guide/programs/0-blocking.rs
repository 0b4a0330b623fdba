//! The start: a blocking echo. It serves one client after the other.

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};

fn main() -> io::Result<()> {
    let addr = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:7007".to_owned());
    let listener = TcpListener::bind(addr)?;
    println!("listening on {}", listener.local_addr()?);
    loop {
        let (stream, _) = listener.accept()?; // waits for a client
        if let Err(error) = echo(stream) {
            eprintln!("a connection is lost: {error}");
        }
    }
}

/// Sends back what arrives, until the client has nothing more to send.
fn echo(mut stream: TcpStream) -> io::Result<()> {
    let mut buf = [0; 4096];
    loop {
        let len = stream.read(&mut buf)?; // waits for bytes
        if len == 0 {
            return Ok(()); // the end of the client's input
        }
        stream.write_all(&buf[..len])?; // waits until the kernel has room
    }
}

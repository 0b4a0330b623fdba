//! A line echo on the standard library: a thread per connection, and buffers around the socket.
//!
//! It flushes when no whole line is waiting any more, because a flush per line would cost one
//! `send` per line.

use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::net::TcpStream;
use std::thread;

fn main() -> io::Result<()> {
    let listener = tinytcp_peers::listen()?;
    for stream in listener.incoming() {
        let stream = stream?;
        thread::Builder::new().spawn(move || serve(&stream))?;
    }
    Ok(())
}

fn serve(stream: &TcpStream) -> io::Result<()> {
    let (mut reader, mut writer) = (BufReader::new(stream), BufWriter::new(stream));
    let mut line = String::new();
    while reader.read_line(&mut line)? > 0 {
        writer.write_all(line.as_bytes())?;
        line.clear();
        if !reader.buffer().contains(&b'\n') {
            writer.flush()?;
        }
    }
    Ok(())
}

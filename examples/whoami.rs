//! One command in two protocols, which shows what the server knows of its client: `WHOAMI` in
//! `text`, the code 0x40 in `binary`.
//!
//! ```text
//! $ cargo run --example whoami &
//! $ printf 'ECHO hello\nWHOAMI\nQUIT\n' | nc 127.0.0.1 40003
//! WELCOME, I'm TinyServer not pressure
//! ECHO hello
//! WHOAMI 127.0.0.1:51514 at text://127.0.0.1:40003, connection 1, 23 bytes, 2 messages, 0.000 s
//! BYE
//! $ printf '\100\0\0\0\0' | nc -N 127.0.0.1 40004 | tail -c +6
//! 127.0.0.1:51516 at binary://127.0.0.1:40004, connection 2, 5 bytes, 1 message, 0.000 s
//! ```

use std::error::Error;
use std::io::Write;
use std::net::SocketAddr;

use env_logger::Env;
use tinytcp::protocol::{Binary, Call, Command, Next, Outcome, Text, errors};
use tinytcp::{Builder, Server};

/// The code of the command in `binary`.
const WHOAMI: u8 = 0x40;

/// A number with its noun: `1 byte`, `2 bytes`.
fn plural(count: u64, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

/// Appends the address of the client, its listener, and what it has sent, this message included.
fn describe_peer(call: &mut Call<'_, '_>) -> Outcome {
    if !call.argument().is_empty() {
        return Err(errors::BAD_ARGUMENTS);
    }
    let context = call.context();
    let (peer, number, age) = (context.peer(), context.number(), context.age().as_secs_f64());
    let url =
        context.status().listeners.get(context.listener()).map_or("", |listener| &listener.url);
    let bytes = plural(context.received_bytes(), "byte");
    // A protocol counts a message when it is answered.
    let messages = plural(context.messages_so_far() + 1, "message");
    write!(
        context.output(),
        "{peer} at {url}, connection {number}, {bytes}, {messages}, {age:.3} s"
    )
    .map_err(|_| errors::BAD_ARGUMENTS)?;
    Ok(Next::Continue)
}

/// Does the same, after the word of the answer.
fn whoami(call: &mut Call<'_, '_>) -> Outcome {
    call.output().append(b"WHOAMI ");
    describe_peer(call)
}

/// A server for both protocols with the command.
pub fn server(text: SocketAddr, binary: SocketAddr) -> Builder {
    Server::builder()
        .listen(text, Text::with_commands([Command::new("WHOAMI", "WHOAMI", whoami)]))
        .listen(binary, Binary::with_commands([Command::new(WHOAMI, "WHOAMI", describe_peer)]))
}

fn main() -> Result<(), Box<dyn Error>> {
    env_logger::Builder::from_env(Env::default().default_filter_or("info")).init();
    let [text, binary] = [40_003, 40_004].map(|port| ([127, 0, 0, 1], port).into());
    let server = server(text, binary).stop_on_signals(Server::STOP_SIGNALS).build()?;
    for bound in server.addresses() {
        println!("listening on {bound}");
    }
    log::info!("stopped: {}", server.run()?);
    Ok(())
}

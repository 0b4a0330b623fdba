//! A new protocol: the character generator of RFC 864, which sends characters for ever and drops
//! what it receives. A peer that stops reading costs the server one block of memory, and is reset
//! after a while: that is backpressure.
//!
//! ```text
//! $ cargo run --example chargen &
//! $ nc 127.0.0.1 40019 | head -1
//!  !"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\]^_`abcdefg
//! ```

use std::error::Error;
use std::net::SocketAddr;

use env_logger::Env;
use tinytcp::protocol::{Accepted, Context, Protocol, Session, Step};
use tinytcp::{Builder, Server};

struct Chargen;

/// One conversation: the place in the alphabet at which the next line starts, one further than the
/// line before it.
struct Generator(u8);

impl Protocol for Chargen {
    fn name(&self) -> &'static str {
        "chargen"
    }

    fn session(&self, _accepted: &Accepted) -> Box<dyn Session> {
        Box::new(Generator(0))
    }
}

impl Session for Generator {
    fn advance(&mut self, input: &[u8], context: &mut Context<'_>) -> (usize, Step) {
        // A few lines per call, so that bytes of the peer are read in between.
        for _ in 0..32 {
            let line: [u8; 74] = std::array::from_fn(|column| match column {
                72 => b'\r',
                73 => b'\n',
                _ => b' ' + (self.0 + column as u8) % 95,
            });
            context.output().append(&line);
            self.0 = (self.0 + 1) % 95;
        }
        (input.len(), Step::Paused)
    }
}

/// A character generator on `addr`.
pub fn server(addr: SocketAddr) -> Builder {
    Server::builder().listen(addr, Chargen)
}

fn main() -> Result<(), Box<dyn Error>> {
    env_logger::Builder::from_env(Env::default().default_filter_or("info")).init();
    let addr = ([127, 0, 0, 1], 40_019).into();
    let server = server(addr).stop_on_signals(Server::STOP_SIGNALS).build()?;
    for bound in server.addresses() {
        println!("listening on {bound}");
    }
    log::info!("stopped: {}", server.run()?);
    Ok(())
}

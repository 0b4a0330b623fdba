//! One more command for the `text` protocol: `CALC 2 + 3` is answered `CALC 5`.
//!
//! ```text
//! $ cargo run --example calc &
//! $ printf 'HELP\nCALC 2 + 3\nCALC (1 + 2\nQUIT\n' | nc 127.0.0.1 40001
//! WELCOME, I'm TinyServer not pressure
//! HELP COMMANDS: TIME | ECHO <TEXT> | HELP | QUIT | ... | WHO | CALC <EXPRESSION>
//! CALC 5
//! ERROR BAD_ARGUMENTS
//! BYE
//! ```

use std::error::Error;
use std::io::Write;
use std::net::SocketAddr;

use env_logger::Env;
use tinytcp::protocol::{Call, Command, Next, Outcome, Text, errors};
use tinytcp::{Builder, Server};

/// The longest expression that is taken, in bytes.
///
/// The server is one thread, and while a command runs no other connection is served. Parsing takes
/// time that grows with the square of the length: all clients would wait 70 ms for a line of 64
/// KiB, and wait a tenth of a millisecond for 256 bytes.
const EXPRESSION_BYTES_MAX: usize = 256;

fn calc(call: &mut Call<'_, '_>) -> Outcome {
    let expression = std::str::from_utf8(call.argument()).map_err(|_| errors::BAD_ARGUMENTS)?;
    if expression.len() > EXPRESSION_BYTES_MAX {
        return Err(errors::BAD_ARGUMENTS);
    }
    let value: f64 = exmex::eval_str(expression).map_err(|_| errors::BAD_ARGUMENTS)?;
    // A division by zero and the like: no number, and so no answer.
    if !value.is_finite() {
        return Err(errors::BAD_ARGUMENTS);
    }
    write!(call.output(), "CALC {value}").map_err(|_| errors::BAD_ARGUMENTS)?;
    Ok(Next::Continue)
}

/// A server for `text` with the command, on `addr`.
pub fn server(addr: SocketAddr) -> Builder {
    Server::builder()
        .listen(addr, Text::with_commands([Command::new("CALC", "CALC <EXPRESSION>", calc)]))
}

fn main() -> Result<(), Box<dyn Error>> {
    env_logger::Builder::from_env(Env::default().default_filter_or("info")).init();
    let addr = ([127, 0, 0, 1], 40_001).into();
    let server = server(addr).stop_on_signals(Server::STOP_SIGNALS).build()?;
    for bound in server.addresses() {
        println!("listening on {bound}");
    }
    log::info!("stopped: {}", server.run()?);
    Ok(())
}

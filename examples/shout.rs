//! A whole protocol in thirty lines: it greets, and repeats each line in capital letters.
//!
//! ```text
//! $ cargo run --example shout &
//! $ printf 'hello\n\377\n' | nc -N 127.0.0.1 40002
//! SAY SOMETHING
//! HELLO
//! ERROR NOT_TEXT
//! ```

use std::error::Error;
use std::net::SocketAddr;

use env_logger::Env;
use tinytcp::protocol::{
    Accepted, Context, Ending, Item, LineDecoder, Output, Protocol, Session, Step, errors,
};
use tinytcp::{Builder, CloseReason, Server};

struct Shout;

/// The session of one connection: the decoder that finds its lines.
struct Shouting(LineDecoder);

impl Protocol for Shout {
    fn name(&self) -> &'static str {
        "shout"
    }

    fn session(&self, accepted: &Accepted) -> Box<dyn Session> {
        Box::new(Shouting(LineDecoder::new(accepted.limits().line_bytes_max)))
    }
}

impl Session for Shouting {
    fn greet(&mut self, output: &mut Output<'_>) {
        output.append(b"SAY SOMETHING\n");
    }

    fn advance(&mut self, input: &[u8], context: &mut Context<'_>) -> (usize, Step) {
        let mut rest = input;
        let step = loop {
            if context.output().is_full() {
                break Step::Paused;
            }
            let (after, item) = self.0.next(rest);
            rest = after;
            match item {
                Some(Item::Line(line, ending)) => {
                    context.received("", line);
                    if !context.output().reserve(line.len() + Output::OVERHEAD_BYTES) {
                        context.output().append_error(errors::SERVER_BUSY, ending);
                    } else if line.is_ascii() {
                        context.output().append(&line.to_ascii_uppercase());
                        context.output().append(ending.bytes());
                    } else {
                        context.output().append_error("NOT_TEXT", ending);
                        break Step::Close(CloseReason::WrongProtocol);
                    }
                }
                Some(Item::TooLong) => {
                    context.refused(errors::LINE_TOO_LONG);
                    context.output().append_error(errors::LINE_TOO_LONG, Ending::Lf);
                }
                Some(Item::Dropped(_)) => context.message_ended(),
                // Part of a line: the next call gets it again, followed by more bytes.
                None if rest.is_empty() && !self.0.is_dropping() => break Step::Done,
                None => break Step::Incomplete { missing: None },
            }
        };
        (input.len() - rest.len(), step)
    }

    fn refuse(&mut self, input: &[u8], context: &mut Context<'_>) -> usize {
        // There is no memory for the line: the part that has arrived is dropped, and the rest when
        // it arrives.
        if !self.0.is_dropping() {
            self.0.drop_line();
            context.refused(errors::SERVER_BUSY);
            context.output().append_error(errors::SERVER_BUSY, Ending::Lf);
        }
        input.len()
    }
}

/// A server that shouts on `addr`.
pub fn server(addr: SocketAddr) -> Builder {
    Server::builder().listen(addr, Shout)
}

fn main() -> Result<(), Box<dyn Error>> {
    env_logger::Builder::from_env(Env::default().default_filter_or("info")).init();
    let addr = ([127, 0, 0, 1], 40_002).into();
    let server = server(addr).stop_on_signals(Server::STOP_SIGNALS).build()?;
    for bound in server.addresses() {
        println!("listening on {bound}");
    }
    log::info!("stopped: {}", server.run()?);
    Ok(())
}

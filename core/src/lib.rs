//! The internals of `tinytcp`: a hand-written readiness loop over `mio`, a slab of connections, and
//! four tiny protocols.
//!
//! # The house
//!
//! Imports go down only; a test reads the sources and fails on one that goes up.
//!
//! ```text
//!  bin/          tinytcp-server   tinytcp-client   tinytcp-load      arguments -> config -> library -> exit code
//!  server/       client/       load/                    they own sockets and the clock
//!    event_loop    wait, accept, run the ready, expire, shut down
//!    turn_budget   how much is done before the loop looks up: less while clients are interactive
//!    accept        a batch a round, SERVER_BUSY, and a way back from every error
//!    newcomers     connections that are logged once they have stayed for a second
//!    eviction      over the memory limit: connections that hold the most for the longest give it up
//!    shutdown      answer what has arrived, and be gone in time
//!  connection/   one peer: fill -> advance -> flush;  Open, Draining, Lingering
//!    transfer      between its buffers and the kernel;  conversation: between its buffers and its session
//!    expiry        what it waits for, for how long, and what happens then
//!    holdings      what it holds meanwhile, and how it gives that up
//!  protocol/     text, binary, echo, chat               bytes in -> bytes out; no I/O, no clock of its own
//!  cli/          flags, units, URLs, the log writer     what the programs share at a prompt
//!  queues/       run_queue, deadlines                   what the loop chooses from
//!  logging/      activity, throttle
//!  os/           system: the one seam to the operating system; kernel: the seam on mio; endpoint, stream; table, clock, moment, peer
//!  wire/         line, frame, telnet, tls, http         pure functions from bytes to items
//!  buffers/      block, buffer, pool                    queues of bytes, and who lends their storage
//!  limits, close_reason, display
//! ```
//!
//! # One trip of data through it
//!
//! ```text
//!  system.wait -> events -> table.get(token) -> remember readiness -> run queue -> connection.drive -> Turn
//!
//!         kernel --fill--> input --bytes--> session.advance(bytes, context) -> (consumed, Step)
//!         kernel <-flush-- output <--- answers encoded in place        input.consume(consumed)
//! ```
//!
//! 1. Events only set remembered readiness. Nothing runs while they are looked at.
//! 2. A connection that can move stands in the run queue, once. Its turn moves bytes until nothing
//!    moves or its share is spent; then it is [`Idle`](connection::Turn::Idle),
//!    [`Yield`](connection::Turn::Yield)s to the others, or [`Close`](connection::Turn::Close)s.
//! 3. A session is called once for a batch of bytes, not once for a message, and stops when its
//!    output is full.
//! 4. Storage is lent while there are bytes to store. An idle connection holds none.
//! 5. A message only moves a deadline; the queue of deadlines finds out when the old one falls due.
//!
//! # Where something new goes
//!
//! | a new | goes to |
//! |---|---|
//! | command of `text` or `binary` | the table in `Text::new` or `Binary::new`; outside the crate, `with_commands` |
//! | protocol | a file in `protocol/` and a line in `BUILT_IN`; outside the crate, an implementation of `Protocol` |
//! | timeout | [`Timeouts`](limits::Timeouts), and its row in `connection/expiry` |
//! | limit | [`Limits`](limits::Limits) |
//! | counter or gauge | [`Status`](status::Status), counted where it happens |
//! | reason to close | [`CloseReason`](close_reason::CloseReason) |
//! | log line | `logging/activity` where a peer causes it as often as it likes, `logging/throttle` for a warning at most once a second |
//! | request from another thread | [`Mail`](os::mailbox::Mail), a method of [`Handle`](os::mailbox::Handle), and an arm of `EventLoop::read_mail` |
//! | system call | [`System`](os::system::System) or [`Socket`](os::system::Socket), and their three implementations: kernel, simulation, `million` |
//! | flag | `Arguments` of the program in `bin/`, which makes a [`Config`](server::Config) of it, and the page of the program in `docs/` |

pub mod buffers;
pub mod close_reason;
pub mod connection;
pub mod display;
pub mod limits;
pub mod logging;
pub mod os;
pub mod protocol;
pub mod queues;
pub mod server;
pub mod status;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod wire;

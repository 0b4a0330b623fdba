//! The server of `tinytcp`: a hand-written readiness loop over `mio`, a slab of connections, and
//! four small protocols, in one thread.
//!
//! This crate is internal: it promises nothing between versions. Programs depend on the crate
//! `tinytcp`, which offers the names that are meant for use.
//!
//! # The round
//!
//! The server repeats one function, `EventLoop::round`, until it is stopped:
//!
//! ```text
//!  wait ------> events mark connections as ready and put them into the run queue
//!  read mail    requests of other threads: stop, drain, reload, report the state
//!  accept       a batch of new connections from each listener
//!  run ready    each connection in the run queue gets a turn
//!  tell news    messages from and to other servers; a batch of members with news gets a turn
//!  evict        over the memory limit, one connection loses its message or is reset
//!  expire       connections with a passed deadline get a turn, in which it is enforced
//!  shut down    after a request to drain or to stop: the next step, when it is due
//! ```
//!
//! In its turn a connection moves bytes, until nothing moves or the budget of the turn is spent:
//!
//! ```text
//!  kernel --fill---> input ---bytes---> session.advance(bytes, context) -> (consumed, Step)
//!  kernel <--flush-- output <--answers-----------'
//! ```
//!
//! The moves repeat in the order fill, advance, flush. Only under backpressure the turn begins with
//! a flush, because that can end it.
//!
//! Five rules make this correct, fair and cheap:
//!
//! 1. An event only marks its connection as ready. No work is done while events are read, and the
//!    mark stays until a read or a write reports `WouldBlock`.
//! 2. A connection is in the run queue at most once. The result of its turn is
//!    [`Idle`](connection::Turn::Idle): wait for an event; [`Yield`](connection::Turn::Yield): it
//!    needs another turn; [`Opened`](connection::Turn::Opened): it needs its session, and then
//!    another turn; or [`Close`](connection::Turn::Close).
//! 3. A session is called once for a batch of bytes, not once per message, and it pauses while its
//!    output is full.
//! 4. A buffer has storage only while it holds bytes. An idle connection has none.
//! 5. A message moves the deadline of its connection, and the queue of deadlines notices it only
//!    when the old deadline passes.
//!
//! # The modules
//!
//! Imports go down only. A test reads the sources and fails if one goes up.
//!
//! ```text
//!  testing       the tools for tests of a protocol or of a whole server
//!  server/       owns the sockets and the clock
//!    event_loop    the round
//!    turn_budget   the work of a round at most; less while clients are interactive
//!    accept        a batch per round, SERVER_BUSY, and a way back from every error
//!    admission     what becomes of a new connection
//!    newcomers     new connections that the log shows only after a second
//!    eviction      over the memory limit: which connections lose what they hold
//!    memory_limit  when they lose it
//!    shutdown      the stages of a drain and a shutdown; stopping: what the loop does in each
//!    gradual_close the connections that a drain closes one by one
//!    reload        new settings and certificates for a running server
//!    bus           the connection to the broker; bus_channel: its bytes, in clear or over TLS;
//!                  bus_failure: why it ends
//!    builder       a server step by step; config: what it is built from
//!    listening     opens the listeners; bind_error: the reason and the remedy if one fails
//!    observer      code of the program that follows the state, such as reports to systemd
//!    inspection    the state of the loop, for tests
//!  connection/   one connection: Opening, Open, Flushing, then Lingering
//!    state         the parts of its state; shared: what all connections use in their turns
//!    opening       the header of a proxy, which names the peer; handshake: that of TLS
//!    conversation  the session and the layer that encrypts it; encryption: the moves of the layer
//!    socket_io     the moves between its buffers and the kernel
//!    session_io    the moves between its buffers and its session
//!    timeouts      what it waits for, until when, and what happens then
//!    allowance     whether the message rate of its address delays it
//!    memory        what it holds between turns, and how an eviction frees it
//!    inspection    its state, for tests
//!  protocol/     text, binary, echo, chat: bytes in, bytes out; no I/O, no clock of its own;
//!                admin, agent: the state of the server over HTTP, and for haproxy
//!    context       what a session can use of the server; output: where its answers go
//!    command       a command of text or binary; command_table: those of text, by their words
//!    room_context, room_commands    the rooms for a session; the commands about them
//!    line_or_pause the framing of echo and chat; errors: the upper-case tokens of errors
//!  bus/          rooms that several servers share through a broker; no I/O, no clock
//!  address_limits  the limits per address: connections, accepts and messages
//!  rooms/        ring: the log of a room; seat: a member's place and cursor; no I/O, no clock
//!    room          the members, and the wave that wakes them; words: what a message may contain
//!    speakers      the rate of messages per connection; relay: what a bus carries elsewhere
//!    full          what the limits refuse; model: the expected answers, for tests
//!  queues/       run_queue, deadlines: which connection is next
//!  token_bucket  the state of a rate
//!  logging/      activity: the log of connections and messages; throttle: one warning per second
//!  os/           system: the seam to the operating system; kernel: its implementation with mio
//!    listen, unix_listener, inherited, shared_port   how a listening socket comes and goes
//!    stream, outgoing, local_port, port_holder       connected sockets and their ports
//!    table, peer, endpoint, subnet                   connections and their addresses
//!    clock, moment, running_time, zone               time
//!    mailbox, hangup                                 requests of other threads, and SIGHUP
//!  metrics/      the names and values of the state; line: STATUS; json; exposition: Prometheus
//!  status        the state: counters and gauges
//!  tls/          settings: the certificates of a listener; layer: what encrypts one connection
//!    identity      a certificate and its key; certificate, x509: the facts about one; info, error
//!    client        the layer of the connection to the broker
//!  close_reason  the reasons for which connections are closed
//!  limits        the limits and timeouts
//!  wire/         line, frame, nats, telnet, tls, http, proxy: pure functions from bytes to items
//!  buffers/      block, buffer, pool: queues of bytes, and the pool that lends their storage
//!  display/      escape, plural, http_date, json_text: text for people and for programs
//! ```
//!
//! # Where something new goes
//!
//! | new | place |
//! |---|---|
//! | command of `text` or `binary` | the table in `Text::new` or `Binary::new` |
//! | protocol | a file in `protocol/`, and a line in `BUILT_IN` |
//! | timeout | [`Timeouts`](limits::Timeouts), and a row in `connection/timeouts` |
//! | limit | [`Limits`](limits::Limits) |
//! | limit per address | [`Limits`](limits::Limits), and `address_limits` |
//! | counter or gauge | [`Status`](status::Status), where it is counted, and [`metrics::METRICS`] |
//! | reason to close | [`CloseReason`](close_reason::CloseReason) |
//! | log line about clients | `logging/activity`, which limits the lines per second |
//! | warning | `log::warn!`, with a `logging/throttle` |
//! | setting that a reload changes | [`Settings`](limits::Settings), and `EventLoop::reload` |
//! | path of the admin listener | `protocol/admin` |
//! | command about rooms | `protocol/room_commands`, the tables of `text` and `binary`, `chat` |
//! | rule of rooms, such as a limit | [`Rooms`](rooms::Rooms) |
//! | request from another thread | [`Mail`](os::mailbox::Mail), and `EventLoop::read_mail` |
//! | system call | [`System`](os::system::System) or [`Socket`](os::system::Socket) |
//! | flag | `Arguments` of the program, and its page in `docs/` |
//!
//! Commands and protocols can also live outside of this crate: see `with_commands` of a protocol,
//! and [`Protocol`](protocol::Protocol).

#[cfg(not(unix))]
compile_error!("tinytcp needs a Unix system: it uses unix sockets, signals and descriptors");

pub mod address_limits;
pub mod buffers;
pub mod bus;
pub mod close_reason;
pub mod connection;
pub mod display;
pub mod limits;
pub mod logging;
pub mod metrics;
pub mod os;
pub mod protocol;
pub mod queues;
pub mod rooms;
pub mod server;
pub mod status;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod tls;
pub mod token_bucket;
pub mod wire;

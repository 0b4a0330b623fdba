//! The conversation with a broker: bytes in, bytes out, without I/O and without a clock.
//!
//! ```text
//!   Greeting ---INFO---> Joining ---PONG---> Open
//!             CONNECT, PING       SUB for each room with members
//! ```
//!
//! With TLS, the phase `Securing` is between `Greeting` and `Joining`: a broker sends its `INFO` in
//! clear, and then accepts a handshake. Anything else in clear can be forged, and is not run.

use std::fmt::{self, Display};

use super::envelope::{self, Envelope};
use super::settings::{BusSettings, Credentials};
use super::subject::{Subject, room_of};
use super::subscriptions::{Change, Subscriptions};
use crate::display::escape::{front, quoted};
use crate::display::json_text::JsonText;
use crate::wire::nats::{self, Decoder, Info, Malformed, Operation};

/// The most bytes that wait for a broker that reads slowly. Messages that do not fit are dropped.
pub const OUTPUT_BYTES_MAX: usize = 1 << 20;

/// Room for operations that are not messages, beyond [`OUTPUT_BYTES_MAX`].
const CONTROL_BYTES_MAX: usize = 64 << 10;

/// The most bytes of an error of the broker that are logged.
const REASON_BYTES_MAX: usize = 128;

/// The session of this server with a broker. It goes on over several connections, one at a time.
#[derive(Debug)]
pub struct Session {
    settings: BusSettings,
    phase: Phase,
    decoder: Decoder,
    /// The longest payload that the broker takes.
    payload_bytes_max: usize,
    output: Vec<u8>,
    subscriptions: Subscriptions,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// The broker has not sent its `INFO`.
    Greeting,
    /// The broker has sent its `INFO`, and TLS has not begun.
    Securing,
    /// The broker has not accepted the client.
    Joining,
    /// Messages flow.
    Open,
}

/// What an operation of the broker has caused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// The broker has accepted the client.
    Opened,
    /// A message of another server or of another program.
    Message {
        /// The name of the room.
        room: &'a [u8],
        /// The name of the sender.
        name: &'a [u8],
        /// The text.
        text: &'a [u8],
    },
    /// A message that is for no room, is too long, or has a malformed envelope.
    Ignored,
    /// The broker reports an error that does not end the connection.
    Error(&'a [u8]),
}

/// Why a conversation is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The peer does not speak the protocol of NATS.
    Malformed,
    /// The broker demands TLS, and the URL has none.
    TlsRequired,
    /// The URL demands TLS, and the broker has none.
    NoTls,
    /// The broker refuses the client, for this reason.
    Refused(String),
}

impl Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed => f.write_str("the peer does not speak the protocol of NATS"),
            Self::TlsRequired => {
                f.write_str("the broker demands TLS: write --bus tls://HOST, and add --bus-ca")
            }
            Self::NoTls => {
                f.write_str("the broker offers no TLS: configure it there, or write nats://")
            }
            Self::Refused(reason) => {
                write!(f, "the broker refuses this server ({reason}): check --bus")
            }
        }
    }
}

impl From<Malformed> for Failure {
    fn from(_: Malformed) -> Self {
        Self::Malformed
    }
}

impl Session {
    /// Creates a session that has no connection yet.
    #[must_use]
    pub fn new(settings: BusSettings) -> Self {
        Self {
            settings,
            phase: Phase::Greeting,
            decoder: Decoder::default(),
            payload_bytes_max: nats::PAYLOAD_BYTES_MAX,
            output: Vec::new(),
            subscriptions: Subscriptions::default(),
        }
    }

    /// The settings of the session.
    #[must_use]
    pub const fn settings(&self) -> &BusSettings {
        &self.settings
    }

    /// Prepares the session for another connection. Bytes that the broker was not sent are lost,
    /// and the storage of the output is freed.
    pub fn restart(&mut self) {
        self.phase = Phase::Greeting;
        self.decoder = Decoder::default();
        self.payload_bytes_max = nats::PAYLOAD_BYTES_MAX;
        self.output = Vec::new();
        self.subscriptions.restart();
    }

    /// True if the broker has accepted this server, so that messages can be exchanged.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.phase == Phase::Open
    }

    /// Runs all complete operations at the front of `input` and reports what they cause. Returns
    /// how many bytes are consumed.
    ///
    /// # Errors
    /// When the conversation is over. The rest of `input` is not used.
    pub fn receive(
        &mut self,
        input: &[u8],
        mut report: impl FnMut(Event<'_>),
    ) -> Result<usize, Failure> {
        let mut rest = input;
        loop {
            let (consumed, operation) = self.decoder.decode(rest)?;
            if let Some(operation) = operation {
                self.run(operation, &mut report)?;
            }
            rest = rest.get(consumed..).unwrap_or_default();
            if consumed == 0 || self.awaits_tls() {
                return Ok(input.len() - rest.len());
            }
        }
    }

    fn run(
        &mut self,
        operation: Operation<'_>,
        report: &mut impl FnMut(Event<'_>),
    ) -> Result<(), Failure> {
        match operation {
            Operation::Info(json) => return self.greet(Info::parse(json)),
            Operation::Error(reason) if !self.is_open() => {
                let reason = quoted(front(reason, REASON_BYTES_MAX)).to_string();
                return Err(Failure::Refused(reason));
            }
            Operation::Error(reason) => report(Event::Error(front(reason, REASON_BYTES_MAX))),
            Operation::Ping => self.append_control(nats::append_pong),
            Operation::Pong if self.phase == Phase::Joining => {
                self.phase = Phase::Open;
                report(Event::Opened);
            }
            Operation::Pong | Operation::Ok => {}
            Operation::Oversized => report(Event::Ignored),
            Operation::Message { subject, payload } => self.deliver(subject, payload, report),
        }
        Ok(())
    }

    /// Reads an `INFO`. The first one of a connection is followed by TLS or by joining the broker.
    ///
    /// # Errors
    /// When the broker and the settings do not agree on TLS.
    fn greet(&mut self, info: Info) -> Result<(), Failure> {
        if let Some(bytes_max) = info.max_payload {
            self.payload_bytes_max = bytes_max;
        }
        if self.phase != Phase::Greeting {
            return Ok(());
        }
        match self.settings.is_encrypted() {
            true if info.tls_required || info.tls_available => self.phase = Phase::Securing,
            true => return Err(Failure::NoTls),
            false if info.tls_required => return Err(Failure::TlsRequired),
            false => self.join(),
        }
        Ok(())
    }

    /// True if the connection must be encrypted before anything else is received or sent.
    #[must_use]
    pub fn awaits_tls(&self) -> bool {
        self.phase == Phase::Securing
    }

    /// Appends `CONNECT` and `PING`. An encrypted connection must send them over TLS.
    pub fn join(&mut self) {
        nats::append_connect(&mut self.output, Options(&self.settings));
        self.phase = Phase::Joining;
        self.ping();
    }

    fn deliver(&self, subject: &[u8], payload: &[u8], report: &mut impl FnMut(Event<'_>)) {
        let Some(Envelope { origin, name, text }) = Envelope::parse(payload) else {
            return report(Event::Ignored);
        };
        if origin == Some(self.settings.origin()) {
            return;
        }
        match room_of(self.settings.prefix(), subject) {
            Some(room) => report(Event::Message { room: &room, name, text }),
            None => report(Event::Ignored),
        }
    }

    /// Appends a `PING`, which the broker must answer.
    pub fn ping(&mut self) {
        self.append_control(nats::append_ping);
    }

    /// Appends an operation, unless too many bytes wait because the broker does not read. The side
    /// that misses an answer then ends the connection.
    fn append_control(&mut self, append: fn(&mut Vec<u8>)) {
        if self.output.len() < OUTPUT_BYTES_MAX + CONTROL_BYTES_MAX {
            append(&mut self.output);
        }
    }

    /// Notes whether `room` has members on this server. The session subscribes only to rooms with
    /// members.
    pub fn set_wanted(&mut self, room: &[u8], is_wanted: bool) {
        self.subscriptions.set(room, is_wanted);
    }

    /// Appends the changes of subscriptions that the broker was not sent yet, as far as they fit.
    pub fn append_changes(&mut self) {
        while self.is_open()
            && self.output.len() < OUTPUT_BYTES_MAX
            && let Some(change) = self.subscriptions.next_change()
        {
            match change {
                Change::Subscribe(room, id) => {
                    let subject = Subject { prefix: self.settings.prefix(), room: &room };
                    nats::append_sub(&mut self.output, subject, id);
                }
                Change::Unsubscribe(id) => nats::append_unsub(&mut self.output, id),
            }
        }
    }

    /// Appends a message of a member of this server. Returns false, and appends nothing, if the
    /// message is dropped: the broker is not connected, reads too slowly, or takes only shorter
    /// messages.
    #[must_use]
    pub fn publish(&mut self, room: &[u8], name: &[u8], text: &[u8]) -> bool {
        let len = envelope::len(name, text);
        let is_dropped = !self.is_open()
            || len > self.payload_bytes_max
            || self.output.len().saturating_add(len) > OUTPUT_BYTES_MAX;
        if is_dropped {
            return false;
        }
        let subject = Subject { prefix: self.settings.prefix(), room };
        nats::append_pub(&mut self.output, subject, len, |output| {
            envelope::append(output, self.settings.origin(), name, text);
        });
        true
    }

    /// The bytes for the broker.
    #[must_use]
    pub fn output(&self) -> &[u8] {
        &self.output
    }

    /// Removes `count` bytes, which the broker has been sent.
    pub fn note_sent(&mut self, count: usize) {
        self.output.drain(..count.min(self.output.len()));
        if self.output.is_empty() && self.output.capacity() > CONTROL_BYTES_MAX {
            self.output = Vec::new();
        }
    }
}

/// The options of `CONNECT`. Without `echo`, the broker does not return the messages of this
/// connection to it.
struct Options<'a>(&'a BusSettings);

impl Display for Options<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{{\"verbose\":false,\"pedantic\":false,\"tls_required\":{},\"echo\":false,\
             \"headers\":false,\"protocol\":1,\"lang\":\"rust\",\"name\":\"tinytcp-server {}\",\
             \"version\":\"{}\"",
            self.0.is_encrypted(),
            self.0.origin(),
            env!("CARGO_PKG_VERSION")
        )?;
        match self.0.credentials() {
            Credentials::None => {}
            Credentials::Token(token) => write!(f, ",\"auth_token\":\"{}\"", JsonText(token))?,
            Credentials::User { name, password } => {
                let (name, password) = (JsonText(name), JsonText(password));
                write!(f, ",\"user\":\"{name}\",\"pass\":\"{password}\"")?;
            }
        }
        f.write_str("}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bus::envelope::Origin;

    const INFO: &[u8] = b"INFO {\"max_payload\":1048576}\r\n";

    fn session(url: &str) -> Session {
        let settings = BusSettings::parse(url).expect("a URL").with_origin(Origin(7));
        Session::new(settings)
    }

    fn open() -> Session {
        let mut session = session("nats://b");
        assert_eq!(events(&mut session, &[INFO, b"PONG\r\n"].concat()), ["Opened"]);
        take_output(&mut session);
        session
    }

    fn events(session: &mut Session, input: &[u8]) -> Vec<String> {
        let mut found = Vec::new();
        let consumed = session.receive(input, |event| {
            found.push(match event {
                Event::Message { room, name, text } => {
                    [room, name, text].map(|part| part.escape_ascii().to_string()).join(" ")
                }
                Event::Error(reason) => format!("error {}", reason.escape_ascii()),
                event => format!("{event:?}"),
            });
        });
        assert_eq!(consumed, Ok(input.len()));
        found
    }

    fn take_output(session: &mut Session) -> String {
        let output = String::from_utf8(session.output().to_vec()).expect("text");
        session.note_sent(output.len());
        output
    }

    #[test]
    fn the_client_presents_itself_after_the_broker_did() {
        let mut session = session("nats://a%22na:s%0Acret@b");
        assert_eq!(take_output(&mut session), "");
        assert_eq!(events(&mut session, INFO), [""; 0]);
        let output = take_output(&mut session);
        let (connect, rest) = output.split_once("\r\n").expect("a line");
        assert!(connect.starts_with("CONNECT {\"verbose\":false,"), "{connect}");
        assert!(connect.contains("\"echo\":false"), "{connect}");
        assert!(connect.ends_with(",\"user\":\"a\\\"na\",\"pass\":\"s\\u000acret\"}"), "{connect}");
        assert_eq!(rest, "PING\r\n");
        assert!(!session.is_open());
        assert_eq!(events(&mut session, b"PONG\r\n"), ["Opened"]);
    }

    #[test]
    fn a_token_is_presented_as_a_token() {
        let mut session = session("nats://s3cr3t@b");
        let _ = events(&mut session, INFO);
        assert!(take_output(&mut session).contains(",\"auth_token\":\"s3cr3t\"}\r\n"));
    }

    #[test]
    fn an_error_before_the_first_pong_is_a_refusal() {
        let mut session = session("nats://b");
        let input = [INFO, b"-ERR 'Authorization Violation'\r\n"].concat();
        let failure = session.receive(&input, |_| {}).expect_err("a refusal");
        assert_eq!(
            failure.to_string(),
            "the broker refuses this server (Authorization Violation): check --bus"
        );
    }

    #[test]
    fn an_error_of_an_open_session_is_reported() {
        let error = b"-ERR 'Permissions Violation for Publish to \"x\"'\r\n";
        let expected = "error Permissions Violation for Publish to \\\"x\\\"";
        assert_eq!(events(&mut open(), error), [expected]);
    }

    #[test]
    fn a_broker_that_demands_tls_is_a_failure() {
        let info = b"INFO {\"tls_required\":true}\r\n";
        assert_eq!(session("nats://b").receive(info, |_| {}), Err(Failure::TlsRequired));
    }

    #[test]
    fn a_broker_without_tls_is_a_failure_where_the_url_demands_it() {
        assert_eq!(session("tls://b").receive(INFO, |_| {}), Err(Failure::NoTls));
    }

    #[test]
    fn nothing_is_run_or_sent_between_the_description_and_tls() {
        for member in ["tls_required", "tls_available"] {
            let mut session = session("tls://s3cr3t@b");
            let info = format!("INFO {{\"{member}\":true}}\r\n");
            let input = format!("{info}PONG\r\nPING\r\n");
            let consumed = session.receive(input.as_bytes(), |event| panic!("{event:?}"));
            assert_eq!(consumed, Ok(info.len()));
            assert!(session.awaits_tls() && session.output().is_empty());
            session.join();
            let output = take_output(&mut session);
            assert!(output.contains("\"tls_required\":true"), "{output}");
            assert_eq!(events(&mut session, b"PONG\r\n"), ["Opened"]);
        }
    }

    #[test]
    fn another_protocol_is_a_failure() {
        assert_eq!(session("nats://b").receive(b"WELCOME", |_| {}), Err(Failure::Malformed));
    }

    #[test]
    fn a_message_from_elsewhere_is_reported_and_an_own_one_is_not() {
        let mut session = open();
        let message = |origin: u64, text: &str| {
            let payload = format!("tinytcp1 {origin:016x} ana {text}");
            format!("MSG tinytcp.room.tea 1 {}\r\n{payload}\r\n", payload.len())
        };
        let input = [message(7, "own"), message(8, "hello all")].concat();
        assert_eq!(events(&mut session, input.as_bytes()), ["tea ana hello all"]);
        assert_eq!(
            events(&mut session, b"MSG tinytcp.room.tea 1 3\r\nhi\n\r\n"),
            ["tea operator hi"]
        );
        assert_eq!(events(&mut session, b"MSG other 1 2\r\nhi\r\n"), ["Ignored"]);
    }

    #[test]
    fn a_message_with_a_malformed_envelope_is_ignored() {
        let message = b"MSG tinytcp.room.tea 1 20\r\ntinytcp1 8 ana hello\r\n";
        assert_eq!(events(&mut open(), message), ["Ignored"]);
    }

    #[test]
    fn rooms_with_members_are_subscribed_once_the_session_is_open() {
        let mut session = session("nats://b");
        session.set_wanted(b"tea", true);
        session.append_changes();
        assert_eq!(take_output(&mut session), "");
        let _ = events(&mut session, &[INFO, b"PONG\r\n"].concat());
        take_output(&mut session);
        session.append_changes();
        assert_eq!(take_output(&mut session), "SUB tinytcp.room.tea 1\r\n");
        session.set_wanted(b"tea", false);
        session.append_changes();
        assert_eq!(take_output(&mut session), "UNSUB 1\r\n");
    }

    #[test]
    fn a_message_is_published_with_its_origin() {
        let mut session = open();
        assert!(session.publish(b"a.b", b"ana", b"hello all"));
        let payload = "tinytcp1 0000000000000007 ana hello all";
        let expected = format!("PUB tinytcp.room.a%2Eb {}\r\n{payload}\r\n", payload.len());
        assert_eq!(take_output(&mut session), expected);
    }

    #[test]
    fn messages_that_do_not_fit_or_have_no_broker_are_dropped() {
        assert!(!session("nats://b").publish(b"tea", b"ana", b"hello"), "no broker");
        let mut session = open();
        let text = [b'x'; 60_000];
        let mut published = 0;
        while session.publish(b"tea", b"ana", &text) {
            published += 1;
        }
        assert_eq!(published, OUTPUT_BYTES_MAX / text.len());
        assert!(session.output().len() <= OUTPUT_BYTES_MAX + 100);
        let _ = take_output(&mut session);
        let _ = events(&mut session, b"INFO {\"max_payload\":100}\r\n");
        assert!(!session.publish(b"tea", b"ana", &text), "too long for the broker");
        assert!(session.publish(b"tea", b"ana", b"hello"));
    }

    #[test]
    fn the_answers_to_pings_are_bounded() {
        let mut session = open();
        let pings = b"PING\r\n".repeat(10_000);
        for _ in 0..30 {
            let _ = events(&mut session, &pings);
        }
        assert!(session.output().len() <= OUTPUT_BYTES_MAX + CONTROL_BYTES_MAX + 100);
    }
}

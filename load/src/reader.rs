//! The reply checker of one connection: compares the received bytes with the expected replies.
//!
//! ```text
//!    script:   ... | r7 | r8 | r9 | r10 | ...     received:  | r7 | r8 | r9' ...
//!                   ^next  ^ matched                    compared in place; `r9'` is parsed
//! ```
//!
//! Replies whose bytes are known are compared many at once, without splitting or copying. Only a
//! reply that differs, or one of which only the shape is known, is parsed with the protocol's
//! framing. So one wrong reply is one error, and the connection continues after it.

use memchr::memchr;
use tinytcp_core::wire::frame::{self, Front, HEADER_LEN};

use super::causes::{Ending, ReplyError};
use super::exchange::{Exchange, Exchanges};
use super::message::{Framing, Reply};
use super::script::Script;

/// Maximum length of a reply of unknown bytes, beyond the longest known reply.
const ITEM_BYTES_MAX: usize = 64 << 10;

/// A reply that was due at most this many replies ago counts as repeated or overtaken. Any other
/// reply stands for the one that is due.
const REPEATED_MAX: usize = 64;

/// The error of a full server: the payload of a frame, or the rest of an `ERROR` line.
const BUSY: &[u8] = b"SERVER_BUSY";

/// What the received bytes start with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finding {
    /// An incomplete reply: all bytes are consumed, and more are needed.
    Incomplete,
    /// This number of correct replies to the oldest requests.
    Correct(usize),
    /// A reply that is not in the script, in place of the oldest request's.
    Wrong,
    /// A reply of the script to another request, in place of the oldest request's.
    Foreign,
    /// The reply to a request that was answered before; no request is completed by it.
    Repeated,
    /// The correct reply to a later request; this number of requests before it were skipped.
    Overtaking(usize),
    /// Bytes that no request was waiting for.
    Surplus,
    /// The server is full.
    Busy,
    /// The server's closing message.
    Farewell(Ending),
    /// The replies cannot be parsed any further, or the greeting is wrong.
    Unreadable,
}

/// The position of a connection in the script, and the received part of a reply.
#[derive(Debug)]
pub struct Reader {
    /// Script position of the oldest request without a reply.
    next: usize,
    /// Number of received and correct bytes of the expected reply; zero while `held` is not empty.
    matched: usize,
    /// True if the greeting has arrived, or there is none.
    greeted: bool,
    /// True if any reply was correct.
    trusted: bool,
    /// The start of a reply that must be parsed as a whole.
    held: Vec<u8>,
}

impl Reader {
    /// Creates the checker of a connection that starts the script at `place`.
    #[must_use]
    pub fn new(script: &Script, place: usize) -> Self {
        Self {
            next: place,
            matched: 0,
            greeted: script.greeting().is_empty(),
            trusted: false,
            held: Vec::new(),
        }
    }

    /// Returns true if a part of a reply has arrived.
    #[must_use]
    pub const fn is_inside_reply(&self) -> bool {
        self.greeted && (self.matched > 0 || !self.held.is_empty())
    }

    /// Returns how many bytes of the greeting are missing.
    #[must_use]
    pub const fn greeting_due(&self, script: &Script) -> usize {
        if self.greeted {
            0
        } else {
            script.greeting().len().saturating_sub(self.matched + self.held.len())
        }
    }

    /// Checks the start of `bytes`, consumes it, and returns what it was. `in_flight` requests have
    /// no reply yet. The first exchange of each kind of error is kept in `exchanges`.
    pub fn next(
        &mut self,
        script: &Script,
        bytes: &mut &[u8],
        in_flight: usize,
        exchanges: &mut Exchanges,
    ) -> Finding {
        if bytes.is_empty() {
            return Finding::Incomplete;
        }
        if self.held.is_empty() {
            if !self.greeted {
                return self.greeting(script, bytes, exchanges);
            }
            let count = script.exact(self.next).min(in_flight);
            if count > 0
                && let Some(finding) = self.compare(script, bytes, count)
            {
                return finding;
            }
        }
        self.take_apart(script, bytes, in_flight, exchanges)
    }

    /// Compares with `count` replies whose bytes are known; returns `None` if the first one
    /// differs.
    fn compare(&mut self, script: &Script, bytes: &mut &[u8], count: usize) -> Option<Finding> {
        let expected = &script.replies(self.next, count)[self.matched..];
        let len = expected.len().min(bytes.len());
        let same = if expected[..len] == bytes[..len] {
            len
        } else {
            expected.iter().zip(*bytes).take_while(|(expected, byte)| expected == byte).count()
        };
        let (done, done_bytes) = script.replies_within(self.next, count, self.matched + same);
        if done > 0 {
            *bytes = &bytes[done_bytes - self.matched..];
            self.matched = 0;
            self.advance(script, done);
            return Some(Finding::Correct(done));
        }
        if same == bytes.len() {
            self.matched += same;
            *bytes = &[];
            return Some(Finding::Incomplete);
        }
        // The correct bytes so far belong to the reply that is wrong as a whole.
        self.held.extend_from_slice(&script.replies(self.next, 1)[..self.matched]);
        self.matched = 0;
        None
    }

    fn greeting(
        &mut self,
        script: &Script,
        bytes: &mut &[u8],
        exchanges: &mut Exchanges,
    ) -> Finding {
        let expected = &script.greeting()[self.matched..];
        let len = expected.len().min(bytes.len());
        if expected[..len] == bytes[..len] {
            self.matched += len;
            *bytes = &bytes[len..];
            if len == expected.len() {
                (self.greeted, self.matched) = (true, 0);
            }
            // The next call checks the remaining bytes, or finds none.
            return if bytes.is_empty() { Finding::Incomplete } else { Finding::Correct(0) };
        }
        self.held.extend_from_slice(&script.greeting()[..self.matched]);
        self.matched = 0;
        self.take_apart(script, bytes, 0, exchanges)
    }

    /// Parses one reply as a whole.
    fn take_apart(
        &mut self,
        script: &Script,
        bytes: &mut &[u8],
        in_flight: usize,
        exchanges: &mut Exchanges,
    ) -> Finding {
        if in_flight == 0 && self.greeted && matches!(script.expected(self.next), Reply::Until(_)) {
            exchanges.keep(ReplyError::Surplus, || Exchange::unasked(bytes));
            return Finding::Surplus;
        }
        let Some(end) = self.item_end(script, bytes) else {
            self.held.extend_from_slice(bytes);
            return self.unreadable(script, in_flight, exchanges);
        };
        let taken = end.unwrap_or(bytes.len());
        let (front, rest) = bytes.split_at(taken);
        *bytes = rest;
        if end.is_some() && self.held.is_empty() {
            return self.judge(script, front, in_flight, exchanges);
        }
        self.held.extend_from_slice(front);
        if end.is_none() {
            return if self.held.len() > item_bytes_max(script) {
                self.unreadable(script, in_flight, exchanges)
            } else {
                Finding::Incomplete
            };
        }
        let mut held = std::mem::take(&mut self.held);
        let finding = self.judge(script, &held, in_flight, exchanges);
        // The storage stays with the connection, so the next reply of this kind allocates nothing.
        held.clear();
        self.held = held;
        finding
    }

    /// Handles held bytes that cannot be parsed: if no request is in flight, they are surplus.
    fn unreadable(&self, script: &Script, in_flight: usize, exchanges: &mut Exchanges) -> Finding {
        if self.greeted && in_flight == 0 {
            exchanges.keep(ReplyError::Surplus, || Exchange::unasked(&self.held));
            return Finding::Surplus;
        }
        self.keep_unfinished(ReplyError::Wrong, script, exchanges);
        Finding::Unreadable
    }

    /// Keeps the exchange of a reply that stays incomplete, with the bytes that arrived.
    pub fn keep_unfinished(&self, error: ReplyError, script: &Script, exchanges: &mut Exchanges) {
        exchanges.keep(error, || {
            if !self.greeted {
                let came = &script.greeting()[..self.matched];
                return Exchange::at_greeting(
                    script,
                    if self.held.is_empty() { came } else { &self.held },
                );
            }
            if self.held.is_empty() {
                let came = script.replies(self.next, usize::from(self.matched > 0));
                return Exchange::at(script, self.next, &came[..self.matched.min(came.len())]);
            }
            Exchange::at(script, self.next, &self.held).with_hint(script.framing(), &self.held)
        });
    }

    /// Returns where in `bytes` the reply ends that starts in `held`: `Some(None)` if the end is
    /// not there yet, `None` if the framing is unknown.
    fn item_end(&self, script: &Script, bytes: &[u8]) -> Option<Option<usize>> {
        if self.greeted
            && let Reply::Until(end) = script.expected(self.next)
        {
            return Some(self.end_of_delimited(bytes, end));
        }
        match script.framing() {
            Framing::Lines => Some(memchr(b'\n', bytes).map(|at| at + 1)),
            Framing::Frames => self.end_of_frame(script, bytes),
            Framing::Unknown => None,
        }
    }

    fn end_of_delimited(&self, bytes: &[u8], end: &[u8]) -> Option<usize> {
        // The delimiter may start in the held bytes.
        let overlap = self.held.len().min(end.len().saturating_sub(1));
        let tail = &self.held[self.held.len() - overlap..];
        let joined: Vec<u8>;
        let searched = if tail.is_empty() {
            bytes
        } else {
            joined = [tail, bytes].concat();
            &joined
        };
        memchr::memmem::find(searched, end).map(|at| at + end.len() - overlap)
    }

    /// Like [`item_end`](Self::item_end). A header of an implausible length is not a frame.
    fn end_of_frame(&self, script: &Script, bytes: &[u8]) -> Option<Option<usize>> {
        let mut header = [0; HEADER_LEN];
        let known = self.held.iter().chain(bytes).take(HEADER_LEN);
        let known = header.iter_mut().zip(known).map(|(place, byte)| *place = *byte).count();
        let Front::Incomplete { header: Some(header), .. } = frame::front(&header[..known]) else {
            // Either the header is incomplete, or it is a complete frame by itself.
            return Some((known == HEADER_LEN).then(|| HEADER_LEN.saturating_sub(self.held.len())));
        };
        let whole =
            usize::try_from(header.payload_len).unwrap_or(usize::MAX).saturating_add(HEADER_LEN);
        let missing = whole.saturating_sub(self.held.len());
        (whole <= item_bytes_max(script)).then(|| (missing <= bytes.len()).then_some(missing))
    }

    fn judge(
        &mut self,
        script: &Script,
        item: &[u8],
        in_flight: usize,
        exchanges: &mut Exchanges,
    ) -> Finding {
        // A full server sends its error in place of the greeting. Without a greeting, the error
        // cannot be distinguished from a message that was rejected for lack of memory.
        let may_be_turned_away =
            if script.greeting().is_empty() { !self.trusted } else { !self.greeted };
        if may_be_turned_away && is_busy(script.framing(), item) {
            return Finding::Busy;
        }
        let known = script.occurrences(item);
        if let Some(ending) = farewell(script.framing(), item).filter(|_| known == 0) {
            return Finding::Farewell(ending);
        }
        if !self.greeted {
            exchanges.keep(ReplyError::Wrong, || Exchange::at_greeting(script, item));
            return Finding::Unreadable;
        }
        if in_flight == 0 {
            exchanges.keep(ReplyError::Surplus, || Exchange::unasked(item));
            return Finding::Surplus;
        }
        let window = in_flight.min(script.len());
        let fits =
            |distance: usize| fits(script.expected(script.behind(self.next, distance)), item);
        if let Some(passed) = (0..window).find(|distance| fits(*distance)) {
            self.advance(script, passed + 1);
            return if passed == 0 { Finding::Correct(1) } else { Finding::Overtaking(passed) };
        }
        if known == 1
            && (1..REPEATED_MAX.min(script.messages()))
                .any(|distance| fits(script.len() - distance))
        {
            exchanges.keep(ReplyError::Surplus, || {
                Exchange::at(script, self.next, item).of_another_request()
            });
            return Finding::Repeated;
        }
        let (finding, error) = if known > 0 {
            (Finding::Foreign, ReplyError::Foreign)
        } else {
            (Finding::Wrong, ReplyError::Wrong)
        };
        exchanges.keep(error, || {
            let exchange = Exchange::at(script, self.next, item);
            if known > 0 { exchange.of_another_request() } else { exchange }
        });
        self.next = script.behind(self.next, 1);
        finding
    }

    fn advance(&mut self, script: &Script, count: usize) {
        self.next = script.behind(self.next, count);
        self.trusted = true;
    }
}

/// Returns the maximum length of a reply.
const fn item_bytes_max(script: &Script) -> usize {
    script.reply_bytes_max().saturating_add(ITEM_BYTES_MAX)
}

fn fits(expected: &Reply, item: &[u8]) -> bool {
    match expected {
        Reply::Exact(bytes) => bytes == item,
        Reply::Line(shape) => shape.fits(item),
        Reply::Until(end) => item.ends_with(end),
        Reply::Nothing => false,
    }
}

/// Returns true if the item is the error of a full server, in the framing of any of our protocols.
fn is_busy(framing: Framing, item: &[u8]) -> bool {
    match framing {
        Framing::Lines => item.strip_prefix(b"ERROR ").map(<[u8]>::trim_ascii_end) == Some(BUSY),
        Framing::Frames => item.get(HEADER_LEN..) == Some(BUSY) && item.first() == Some(&255),
        Framing::Unknown => false,
    }
}

/// Returns how the connection ends if the item is a closing message of the server; `None`
/// otherwise.
fn farewell(framing: Framing, item: &[u8]) -> Option<Ending> {
    let word = match framing {
        Framing::Lines if item.trim_ascii_end() == b"BYE" => return Some(Ending::Shutdown),
        Framing::Lines => item.strip_prefix(b"ERROR ").map(<[u8]>::trim_ascii_end),
        Framing::Frames if item.first() == Some(&255) => item.get(HEADER_LEN..),
        Framing::Frames | Framing::Unknown => None,
    };
    match word? {
        b"IDLE_TIMEOUT" => Some(Ending::IdleTimeout),
        b"MESSAGE_TIMEOUT" => Some(Ending::MessageTimeout),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection;
    use proptest::prelude::*;
    use tinytcp_cli::target::Protocol;

    use super::super::message::{Message, framing, greeting, message, numbered};
    use super::*;

    const TEXT: Protocol = Protocol::Text;

    fn script_of(protocol: Protocol, texts: &[&str]) -> Script {
        let messages: Vec<_> =
            texts.iter().map(|text| message(protocol, text).expect("a message")).collect();
        Script::new(&messages, 1, greeting(protocol), framing(protocol)).expect("messages")
    }

    /// Returns all findings in `pieces`, with `in_flight` requests and after the greeting.
    /// Consecutive correct replies are added up.
    fn findings(script: &Script, pieces: &[&[u8]], mut in_flight: usize) -> Vec<Finding> {
        let mut reader = Reader::new(script, 0);
        let mut found = Vec::new();
        for piece in [script.greeting()].iter().chain(pieces) {
            let mut bytes = *piece;
            while !bytes.is_empty() {
                let finding = reader.next(script, &mut bytes, in_flight, &mut Exchanges::default());
                match (finding, found.last_mut()) {
                    (Finding::Incomplete | Finding::Correct(0), _) => {}
                    (Finding::Correct(more), Some(Finding::Correct(count))) => *count += more,
                    _ => found.push(finding),
                }
                in_flight -= match finding {
                    Finding::Correct(count) => count,
                    Finding::Wrong | Finding::Foreign => 1,
                    Finding::Overtaking(passed) => passed + 1,
                    _ => 0,
                };
                if matches!(
                    finding,
                    Finding::Surplus | Finding::Unreadable | Finding::Busy | Finding::Farewell(_)
                ) {
                    return found;
                }
            }
        }
        found
    }

    #[test]
    fn correct_replies_are_recognised_at_every_split() {
        let cases = [
            (
                script_of(TEXT, &["ECHO a", "TIME", "ECHO bcd"]),
                "ECHO a\nTIME 2025-09-12T17:24:13-05:00\nECHO bcd\n",
            ),
            (
                script_of(Protocol::Binary, &["echo hi", "rev ab", "echo"]),
                "\x01\0\0\0\x02hi\x01\0\0\0\x02ba\x01\0\0\0\0",
            ),
            (
                script_of(Protocol::Chat, &["time", "hello"]),
                "Server Time: 01:02:03\nHello from the server! Connection established.\n",
            ),
        ];
        for (script, bytes) in &cases {
            let bytes = bytes.as_bytes();
            let right = findings(script, &[bytes], 5);
            assert_eq!(right.len(), 1, "{right:?} {}", bytes.escape_ascii());
            assert_eq!(findings(script, &bytes.chunks(1).collect::<Vec<_>>(), 5), right);
            for at in 0..bytes.len() {
                assert_eq!(
                    findings(script, &[&bytes[..at], &bytes[at..]], 5),
                    right,
                    "split at {at}"
                );
            }
        }
    }

    #[test]
    fn each_wrong_reply_has_its_kind_and_the_next_is_correct() {
        use Finding::*;
        let far: Vec<String> = (0..200).map(|number| format!("ECHO far{number}")).collect();
        let near = ["ECHO a", "ECHO b", "ECHO c", "ECHO d"];
        let script = script_of(
            TEXT,
            &near.into_iter().chain(far.iter().map(String::as_str)).collect::<Vec<_>>(),
        );
        let cases: [(&str, usize, &[Finding]); 6] = [
            ("ECHO a\nERROR OOPS\nECHO c\n", 3, &[Correct(1), Wrong, Correct(1)]),
            ("ECHO aX\nECHO b\n", 2, &[Wrong, Correct(1)]),
            ("ECHO a\nECHO a\nECHO b\n", 3, &[Correct(1), Repeated, Correct(1)]),
            (
                "ECHO a\nECHO c\nECHO b\nECHO d\n",
                4,
                &[Correct(1), Overtaking(1), Repeated, Correct(1)],
            ),
            ("ECHO far100\nECHO b\n", 2, &[Foreign, Correct(1)]),
            ("ECHO a\nECHO b\n", 1, &[Correct(1), Surplus]),
        ];
        for (replies, in_flight, expected) in cases {
            assert_eq!(
                findings(&script, &[replies.as_bytes()], in_flight),
                expected,
                "{replies:?}"
            );
            let bytewise: Vec<&[u8]> = replies.as_bytes().chunks(1).collect();
            assert_eq!(
                findings(&script, &bytewise, in_flight),
                expected,
                "{replies:?}, byte by byte"
            );
        }
    }

    #[test]
    fn a_full_server_sends_busy_in_place_of_the_greeting() {
        let script = script_of(TEXT, &["TIME"]);
        let mut reader = Reader::new(&script, 0);
        assert_eq!(
            reader.next(
                &script,
                &mut b"ERROR SERVER_BUSY\n".as_slice(),
                1,
                &mut Exchanges::default()
            ),
            Finding::Busy
        );
        let binary = script_of(Protocol::Binary, &["echo x"]);
        let mut reader = Reader::new(&binary, 0);
        assert_eq!(
            reader.next(
                &binary,
                &mut b"\xff\0\0\0\x0bSERVER_BUSY".as_slice(),
                1,
                &mut Exchanges::default()
            ),
            Finding::Busy
        );
    }

    #[test]
    fn closing_messages_are_not_replies_in_any_protocol() {
        for protocol in [TEXT, Protocol::Echo, Protocol::Chat] {
            let script = script_of(protocol, &["hello"]);
            for in_flight in [0, 1] {
                let found = |bytes: &[u8]| findings(&script, &[bytes], in_flight);
                assert_eq!(
                    found(b"ERROR IDLE_TIMEOUT\n"),
                    [Finding::Farewell(Ending::IdleTimeout)],
                    "{protocol:?}"
                );
                assert_eq!(
                    found(b"ERROR MESSAGE_TIMEOUT\n"),
                    [Finding::Farewell(Ending::MessageTimeout)]
                );
            }
        }
        assert_eq!(
            findings(&script_of(TEXT, &["NOOP"]), &[b"BYE\n"], 1),
            [Finding::Farewell(Ending::Shutdown)]
        );
        let frame = b"\xff\0\0\0\x0cIDLE_TIMEOUT";
        let binary = script_of(Protocol::Binary, &["echo x"]);
        assert_eq!(findings(&binary, &[frame], 0), [Finding::Farewell(Ending::IdleTimeout)]);
    }

    #[test]
    fn an_expected_reply_that_reads_like_a_closing_message_is_correct() {
        let raw = Message { request: b"QUIT\n".to_vec(), reply: Reply::Exact(b"BYE\n".to_vec()) };
        let script = Script::new(&[raw], 1, b"", Framing::Lines).expect("a message");
        assert_eq!(findings(&script, &[b"B", b"YE\n"], 1), [Finding::Correct(1)]);
    }

    /// Returns the kept exchanges after `bytes`, with one request in flight.
    fn kept(script: &Script, bytes: &[u8]) -> Vec<Exchange> {
        let (mut reader, mut exchanges, mut bytes) =
            (Reader::new(script, 0), Exchanges::default(), bytes);
        while !bytes.is_empty()
            && !matches!(
                reader.next(script, &mut bytes, 1, &mut exchanges),
                Finding::Unreadable | Finding::Wrong
            )
        {}
        reader.keep_unfinished(ReplyError::Late, script, &mut exchanges);
        exchanges.iter().cloned().collect()
    }

    #[test]
    fn a_wrong_reply_is_kept_with_its_request_and_expected_reply() {
        let exchanges =
            kept(&script_of(TEXT, &["ECHO a"]), &[greeting(TEXT), b"ECHO b\x07\n"].concat());
        let shown = (&exchanges[0].sent[..], &exchanges[0].expected[..], &exchanges[0].got[..]);
        assert_eq!(shown, (r"ECHO a\n", r"ECHO a\n", r"ECHO b\x07\n"));
        assert_eq!((&exchanges[0].cause[..], &exchanges[0].hint), ("wrong", &None));
    }

    #[test]
    fn bytes_of_another_protocol_are_kept_with_a_hint() {
        for (protocol, bytes, part) in [
            (Protocol::Echo, &b"$11 and no line ever"[..], "20 bytes arrived that are not a line"),
            (
                Protocol::Binary,
                b"HTTP/1.1 400 Bad Request",
                "24 bytes arrived that are not a frame",
            ),
            (TEXT, b"-ERR unknown command\r\n", "no greeting arrived"),
        ] {
            let exchanges = kept(&script_of(protocol, &["echo a"]), bytes);
            let hint = exchanges[0].hint.clone().unwrap_or_default();
            assert_eq!(hint, format!("{}: is it another protocol?", part), "{exchanges:?}");
        }
    }

    #[test]
    fn a_wrong_greeting_makes_the_connection_unreadable() {
        let script = script_of(TEXT, &["TIME"]);
        let mut reader = Reader::new(&script, 0);
        let mut bytes: &[u8] = b"WELCOME";
        assert_eq!(
            reader.next(&script, &mut bytes, 1, &mut Exchanges::default()),
            Finding::Incomplete
        );
        let mut bytes: &[u8] = b" to another place\n";
        assert_eq!(
            reader.next(&script, &mut bytes, 1, &mut Exchanges::default()),
            Finding::Unreadable
        );
    }

    #[test]
    fn a_wrong_reply_of_unknown_framing_is_unreadable() {
        let raw = Message { request: b"PING".to_vec(), reply: Reply::Exact(b"PONG".to_vec()) };
        let script = Script::new(&[raw], 1, b"", Framing::Unknown).expect("a message");
        assert_eq!(
            findings(&script, &[b"PO", b"NGPONK"], 2),
            [Finding::Correct(1), Finding::Unreadable]
        );
        assert_eq!(findings(&script, &[b"PONGPONG"], 1), [Finding::Correct(1), Finding::Surplus]);
    }

    #[test]
    fn a_delimiter_may_arrive_in_pieces() {
        let raw =
            Message { request: b"INCR x\r\n".to_vec(), reply: Reply::Until(b"\r\n".to_vec()) };
        let script = Script::new(&[raw], 1, b"", Framing::Unknown).expect("a message");
        assert_eq!(findings(&script, &[b":1\r", b"\n:", b"2\r\n"], 2), [Finding::Correct(2)]);
    }

    #[test]
    fn an_endless_reply_is_not_kept_forever() {
        let script = script_of(TEXT, &["ECHO a"]);
        let endless = vec![b'x'; ITEM_BYTES_MAX + 100];
        assert_eq!(findings(&script, &[&endless], 1), [Finding::Unreadable]);
    }

    proptest! {
        #[test]
        fn any_split_of_correct_replies_counts_all_of_them(
            sizes in collection::vec(0usize..40, 1..20),
            cuts in collection::vec(1usize..50, 1..40),
        ) {
            let message = |(n, size): (usize, &usize)| numbered(TEXT, *size, n).expect("letters");
            let messages: Vec<_> = sizes.iter().enumerate().map(message).collect();
            let script = Script::new(&messages, 1, b"", Framing::Lines).expect("messages");
            let stream: Vec<u8> =
                messages.iter().flat_map(|message| message.request.clone()).collect();
            let (mut pieces, mut rest) = (Vec::new(), stream.as_slice());
            for cut in cuts {
                let (piece, behind) = rest.split_at(cut.min(rest.len()));
                pieces.push(piece);
                rest = behind;
            }
            pieces.push(rest);
            let expected = [Finding::Correct(messages.len())];
            prop_assert_eq!(findings(&script, &pieces, messages.len()), expected);
        }

        #[test]
        fn random_bytes_never_break_the_checker(
            pieces in collection::vec(collection::vec(any::<u8>(), 0..60), 0..12),
            protocol in 0usize..4,
            in_flight in 0usize..2000,
        ) {
            let protocol = Protocol::ALL[protocol];
            let message = numbered(protocol, 3, 0).expect("letters");
            let script = Script::new(&[message], 1, b"", framing(protocol)).expect("a message");
            let pieces: Vec<&[u8]> = pieces.iter().map(Vec::as_slice).collect();
            findings(&script, &pieces, in_flight);
        }
    }
}

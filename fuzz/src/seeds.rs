//! Seeds from the transcripts of `protocol.md`, so that the fuzzer need not discover the protocols.

use crate::TARGETS;
use crate::transcripts::{self, Step};

/// An input for one target. Its name has the place in `protocol.md`.
pub struct Seed {
    pub target: &'static str,
    pub name: String,
    pub bytes: Vec<u8>,
}

/// Returns the seeds for all targets from `page`, the text of `protocol.md`.
pub fn of_page(page: &str) -> Vec<Seed> {
    let mut seeds = Vec::new();
    for transcript in transcripts::read(page) {
        let (mut asked, mut said) = (Vec::new(), Vec::new());
        for step in transcript.steps {
            match step {
                Step::Send(_, bytes) => asked.extend(bytes),
                Step::Expect(_, bytes) => said.extend(bytes),
                Step::HalfClose(_) | Step::ExpectEof(_) | Step::Signal(_) => {}
            }
        }
        // A message that exceeds a server's memory adds nothing to a short one.
        asked.truncate(2000);
        for (target, _) in TARGETS {
            if let Some(bytes) = input(target, &transcript.protocol, &asked, &said) {
                seeds.push(Seed {
                    target,
                    name: format!("protocol-{:03}", transcript.first_line),
                    bytes,
                });
            }
        }
    }
    seeds.extend((1..=8).map(world));
    seeds.extend(REQUESTS.iter().zip(1..).map(request));
    seeds.extend(HEADERS.iter().zip(1..).map(header));
    seeds.extend(BROKERS.iter().zip(1..).map(broker));
    seeds.extend(MASKS.iter().zip(1..).flat_map(masks));
    seeds
}

/// Requests to the administrative listener.
const REQUESTS: [&[u8]; 6] = [
    b"GET /healthz HTTP/1.1\r\nHost: localhost:9464\r\nAccept: */*\r\n\r\n",
    b"GET /metrics?x HTTP/1.0\r\nAccept: application/openmetrics-text;q=0.5\r\n\r\n",
    b"HEAD / HTTP/1.0\n\n",
    b"POST /status HTTP/1.1\r\nHost: [::1]\r\nContent-Length: 2\r\n\r\n{}",
    b"GET /readyz HTTP/1.1\r\nHost: evil.example\r\n\r\n",
    b"ECHO hello\n\n",
];

fn request((bytes, number): (&&[u8], usize)) -> Seed {
    Seed { target: "admin", name: format!("request-{number}"), bytes: [b"\0", *bytes].concat() }
}

/// Headers of the PROXY protocol.
const HEADERS: [&[u8]; 6] = [
    b"PROXY TCP4 192.0.2.7 198.51.100.1 51234 40000\r\nTIME\n",
    b"PROXY TCP6 2001:db8::7 ::ffff:198.51.100.1 51234 40000\r\n",
    b"PROXY UNKNOWN ffff:f...f:ffff ffff:f...f:ffff 65535 65535\r\n",
    b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x10\xc0\0\x02\x07\
      \xc6\x33\x64\x01\xc8\x22\x9c\x40\x04\0\x01\0TIME\n",
    b"\r\n\r\n\0\r\nQUIT\n\x20\x11\0\x0c\xc0\0\x02\x07\xc6\x33\x64\x01\xc8\x22\x9c\x40",
    b"\r\n\r\n\0\r\nQUIT\n\x21\x21\x0f\xf1",
];

fn header((bytes, number): (&&[u8], usize)) -> Seed {
    Seed { target: "proxy", name: format!("header-{number}"), bytes: [b"\0", *bytes].concat() }
}

const BROKERS: [&[u8]; 5] = [
    b"INFO {\"server_id\":\"N\",\"max_payload\":1048576,\"headers\":true} \r\n\
      PING\r\nPONG\r\n+OK\r\n",
    b"MSG tinytcp.room.tea 7 28\r\ntinytcp1 0123456789abcdef a b\r\nMSG a 1 re 2\r\n\r\n\r\n",
    b"HMSG a 9 12 17\r\nNATS/1.0\r\n\r\nhello\r\nHMSG a 9 re 12 12\r\nNATS/1.0\r\n\r\n\r\n",
    b"-ERR 'Authorization Violation'\r\n-ERR 'Stale Connection'\r\nMSG a 9 x\r\n",
    b"MSG a 9 65537\r\nskipped",
];

fn broker((bytes, number): (&&[u8], usize)) -> Seed {
    Seed { target: "nats", name: format!("broker-{number}"), bytes: [b"\0", *bytes].concat() }
}

/// Masks for valid TLS bytes. The bits that are set in a mask change: none, bits in each part of
/// the first record, or bits in the third record after a handshake.
const MASKS: [&[u8]; 7] = [
    &[0],
    &[0, 1],
    &[0, 0, 0, 0x40],
    &[0, 0, 0, 0, 0, 0, 0, 0, 1],
    &zeros_and_one::<30>(),
    &zeros_and_one::<120>(),
    &zeros_and_one::<400>(),
];

const fn zeros_and_one<const LEN: usize>() -> [u8; LEN] {
    let mut mask = [0; LEN];
    mask[LEN - 1] = 1;
    mask
}

/// Returns a mask for both versions, before and after the handshake, and as bytes without a
/// pattern.
fn masks((mask, number): (&&'static [u8], usize)) -> impl Iterator<Item = Seed> {
    (0..8_u8).map(move |knobs| Seed {
        target: "tls",
        name: format!("mask-{number}-{knobs}"),
        bytes: [&[knobs << 5], *mask].concat(),
    })
}

/// Returns a world of the simulation: bytes without a pattern, each of which is a choice.
fn world(number: u8) -> Seed {
    let mut state = u32::from(number);
    let bytes = std::iter::repeat_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    });
    Seed { target: "stream", name: format!("world-{number}"), bytes: bytes.take(2000).collect() }
}

/// Returns the input for `target` from a transcript of `protocol`, if there is one: the knobs of
/// the plan, no choices, and the stream.
fn input(target: &str, protocol: &str, asked: &[u8], said: &[u8]) -> Option<Vec<u8>> {
    let (place, question) = match protocol {
        "text" => (0, "TIME"),
        "binary" => (1, "echo hello"),
        "echo" => (2, "Hello, server!"),
        "chat" => (3, "hello"),
        _ => return None,
    };
    let knobs = |number: u8| vec![number << 5];
    let parts = match target {
        "lines" if protocol != "binary" => [knobs(4), asked.to_vec()],
        "frames" if protocol == "binary" => [knobs(0), asked.to_vec()],
        "client_reply" => [knobs(place), [question.as_bytes(), b"\n", said].concat()],
        "client_request" if protocol != "binary" => [knobs(place), asked.to_vec()],
        "client_request" => [knobs(place), b"echo Hello, World!\nrev a\xc3\xa9\nquit\n".to_vec()],
        _ if target == protocol => [knobs(0), asked.to_vec()],
        _ => return None,
    };
    Some(parts.concat())
}

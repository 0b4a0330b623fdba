//! The promises of a binary server.

use std::time::Duration;

use tinytcp_core::wire::frame::Header;

use super::connection::CheckResult;
use super::probe::Probe;
use super::{Check, Limit};
use crate::dialogue::binary::{ECHO, ERROR, QUIT, REVERSE};

/// The original README states the frame, the three commands, that header and payload are read in
/// whole however they arrive, and a thread for each client. It answers every command with the code
/// of ECHO.
pub const PROTOCOL_CHECKS: &[Check] = &[
    Check::new("the server sends nothing before the first request", |probe| {
        let mut connection = probe.open()?;
        connection.expect_silence(Duration::from_millis(100))?;
        connection.send(&frame(ECHO, b"first"))?;
        connection.expect(&frame(ECHO, b"first"))
    }),
    Check::new("ECHO returns its payload", |probe| {
        exchange(probe, ECHO, b"Hello, World!", b"Hello, World!")
    }),
    Check::new("ECHO returns a payload of many segments", |probe| {
        let payload = vec![b'x'; probe.limits.payload_len_max().min(100_000)];
        exchange(probe, ECHO, &payload, &payload)
    }),
    Check::new("REVERSE answers with the code of ECHO", |probe| {
        exchange(probe, REVERSE, b"custom protocols are fun", b"nuf era slocotorp motsuc")
    }),
    Check::new("REVERSE reverses characters, not bytes", |probe| {
        exchange(probe, REVERSE, "aé字🙂e\u{301}".as_bytes(), "\u{301}e🙂字éa".as_bytes())
    }),
    Check::new("QUIT closes without an answer", |probe| {
        probe.last_exchange(&frame(QUIT, b""), b"")
    }),
    Check::new("pipelined frames are answered in order", |probe| {
        let frames = numbered_frames(1_000);
        probe.exchange(&frames, &frames)
    }),
    Check::new("a frame may arrive byte by byte", |probe| {
        probe.bytewise_exchange(
            &[frame(ECHO, b"drip"), frame(REVERSE, b"abc")].concat(),
            &[frame(ECHO, b"drip"), frame(ECHO, b"cba")].concat(),
        )
    }),
    Check::new("frames may be cut anywhere", |probe| {
        let request = [frame(ECHO, b"one"), frame(REVERSE, "é!".as_bytes())].concat();
        let answer = [frame(ECHO, b"one"), frame(ECHO, "!é".as_bytes())].concat();
        probe.cut_exchange(&request, &answer)
    }),
    Check::new("a half-closed connection is answered, then closed", |probe| {
        let frames = numbered_frames(2);
        probe.half_closed_exchange(&frames, &frames)
    }),
    Check::new("an incomplete frame is never run", |probe| {
        let whole = frame(ECHO, b"whole");
        for len in [1, 5, whole.len() - 1] {
            let half = whole.get(..len).unwrap_or_default();
            probe.half_closed_exchange(&[&whole[..], half].concat(), &whole)?;
        }
        Ok(())
    }),
    Check::new("an incomplete frame does not delay another client", |probe| {
        let slow_frame = frame(ECHO, b"slow");
        let (first, second) = slow_frame.split_at(6);
        let mut slow = probe.open()?;
        slow.send(first)?;
        exchange(probe, ECHO, b"quick", b"quick")?;
        slow.send(second)?;
        slow.expect(&slow_frame)
    }),
];

/// The original README does not specify these cases, and its client does not meet them.
pub const SERVER_CHECKS: &[Check] = &[
    // An original decodes UTF-8, and fails.
    Check::new("ECHO returns any bytes", |probe| {
        let payload: Vec<u8> = (0..=255).collect();
        exchange(probe, ECHO, &payload, &payload)
    }),
    // An original may take an empty payload for the end of input.
    Check::new("an empty ECHO or REVERSE is answered with an empty frame", |probe| {
        let request = [frame(ECHO, b""), frame(REVERSE, b""), frame(ECHO, b"on")].concat();
        probe.exchange(&request, &[frame(ECHO, b""), frame(ECHO, b""), frame(ECHO, b"on")].concat())
    }),
    // An original has no errors: it fails, or ignores the frame.
    Check::new("REVERSE of bytes that are not UTF-8 is refused, the session continues", |probe| {
        let request =
            [frame(REVERSE, b"ab\xffcd"), frame(REVERSE, b"\xc3"), frame(ECHO, b"on")].concat();
        let refusal = frame(ERROR, b"INVALID_UTF8");
        probe.exchange(&request, &[refusal.clone(), refusal, frame(ECHO, b"on")].concat())
    }),
    Check::new(
        "an unknown command is refused, its payload skipped, and the session continues",
        |probe| {
            for code in [0, 5, 100, ERROR] {
                let payload = frame(ECHO, b"not run");
                let request = [frame(code, &payload), frame(code, b""), frame(ECHO, b"on")];
                let refusal = frame(ERROR, b"UNKNOWN_COMMAND");
                let answer = [refusal.clone(), refusal, frame(ECHO, b"on")];
                probe.exchange(&request.concat(), &answer.concat())?;
            }
            Ok(())
        },
    ),
    // An original may close before it reads the payload, which resets the connection.
    Check::new("the payload of QUIT is ignored", |probe| {
        probe.last_exchange(&frame(QUIT, b"payload"), b"")
    }),
    // An original closes with unread bytes: the connection is reset.
    Check::new("nothing after QUIT is run", |probe| {
        let request = [frame(ECHO, b"before"), frame(QUIT, b""), frame(ECHO, b"late")].concat();
        probe.last_exchange(&request, &frame(ECHO, b"before"))
    }),
    // An original client reads each answer before its next request.
    Check::new("answers that the client reads late all arrive", |probe| {
        let frames = numbered_frames(60_000);
        probe.unread_exchange(&frames, &frames)
    }),
    // An original takes the first bytes of TLS for a header, and waits for a payload.
    Check::new(super::TLS_IS_REFUSED, |probe| probe.tls_exchange(&frame(ERROR, b"NOT_TLS"))),
    // An original has no limit, or another one.
    Check::at(
        Limit::Frame,
        "a frame of exactly the limit is read in whole before its answer is",
        |probe| {
            let large = frame(ECHO, &vec![b'x'; probe.limits.payload_len_max()]);
            probe.exchange(&large, &large)
        },
    ),
    Check::at(Limit::Frame, "a longer frame is refused by its header alone", |probe| {
        let mut connection = probe.open()?;
        connection.send(&header(ECHO, probe.limits.payload_len_max() + 1))?;
        connection.expect(&frame(ERROR, b"FRAME_TOO_LARGE"))?;
        let mut giant = probe.open()?;
        giant.send(&[ECHO, 255, 255, 255, 255])?;
        giant.expect(&frame(ERROR, b"FRAME_TOO_LARGE"))
    }),
    Check::at(
        Limit::Frame,
        "the payload of a refused frame is skipped and the session continues",
        |probe| {
            let payload_len = probe.limits.payload_len_max() + 1;
            let mut connection = probe.open()?;
            connection.send(&header(ECHO, payload_len))?;
            connection.expect(&frame(ERROR, b"FRAME_TOO_LARGE"))?;
            connection.send(&vec![b'x'; payload_len])?;
            connection.send(&frame(ECHO, b"on"))?;
            connection.expect(&frame(ECHO, b"on"))
        },
    ),
];

fn exchange(probe: &Probe<'_>, code: u8, request: &[u8], answer: &[u8]) -> CheckResult {
    probe.exchange(&frame(code, request), &frame(ECHO, answer))
}

fn frame(code: u8, payload: &[u8]) -> Vec<u8> {
    [&header(code, payload.len())[..], payload].concat()
}

/// A header. A length that does not fit becomes the largest that does.
fn header(code: u8, payload_len: usize) -> [u8; 5] {
    Header { code, payload_len: u32::try_from(payload_len).unwrap_or(u32::MAX) }.encode()
}

fn numbered_frames(count: usize) -> Vec<u8> {
    (0..count)
        .flat_map(|number| frame(ECHO, format!("frame number {number} of many").as_bytes()))
        .collect()
}

//! What a binary server promises.

use std::time::Duration;

use super::probe::{Outcome, Probe};
use super::{Check, Limit};
use crate::client::dialogue::binary::{ECHO, ERROR, QUIT, REVERSE};
use crate::wire::frame::Header;

/// The promises, the plain ones first.
pub const CHECKS: &[Check] = &[
    Check::new("the server says nothing before it is asked", |probe| {
        let mut wire = probe.open()?;
        wire.expect_silence(Duration::from_millis(100))?;
        wire.send(&frame(ECHO, b"first"))?;
        wire.expect(&frame(ECHO, b"first"))
    }),
    Check::new("ECHO hands back its payload", |probe| {
        exchange(probe, ECHO, b"Hello, World!", b"Hello, World!")
    }),
    Check::new("ECHO hands back any bytes", |probe| {
        let payload: Vec<u8> = (0..=255).collect();
        exchange(probe, ECHO, &payload, &payload)
    }),
    Check::new("REVERSE answers with the code of ECHO", |probe| {
        exchange(probe, REVERSE, b"custom protocols are fun", b"nuf era slocotorp motsuc")
    }),
    Check::new("REVERSE turns characters around, not bytes", |probe| {
        exchange(probe, REVERSE, "aé字🙂e\u{301}".as_bytes(), "\u{301}e🙂字éa".as_bytes())
    }),
    Check::new("an empty ECHO or REVERSE is answered with an empty frame", |probe| {
        let request = [frame(ECHO, b""), frame(REVERSE, b""), frame(ECHO, b"on")].concat();
        probe.dialogue(&request, &[frame(ECHO, b""), frame(ECHO, b""), frame(ECHO, b"on")].concat())
    }),
    Check::new("REVERSE of bytes that are not UTF-8 is refused and the session goes on", |probe| {
        let request =
            [frame(REVERSE, b"ab\xffcd"), frame(REVERSE, b"\xc3"), frame(ECHO, b"on")].concat();
        let refusal = frame(ERROR, b"INVALID_UTF8");
        probe.dialogue(&request, &[refusal.clone(), refusal, frame(ECHO, b"on")].concat())
    }),
    Check::new(
        "an unknown command is refused, its payload skipped, and the session goes on",
        |probe| {
            for code in [0, 4, 100, ERROR] {
                let request =
                    [frame(code, &frame(ECHO, b"not run")), frame(code, b""), frame(ECHO, b"on")]
                        .concat();
                let refusal = frame(ERROR, b"UNKNOWN_COMMAND");
                probe
                    .dialogue(&request, &[refusal.clone(), refusal, frame(ECHO, b"on")].concat())?;
            }
            Ok(())
        },
    ),
    Check::new("QUIT closes without an answer", |probe| {
        probe.last_dialogue(&frame(QUIT, b""), b"")
    }),
    Check::new("the payload of QUIT is ignored", |probe| {
        probe.last_dialogue(&frame(QUIT, b"payload"), b"")
    }),
    Check::new("nothing after QUIT is run", |probe| {
        let request = [frame(ECHO, b"before"), frame(QUIT, b""), frame(ECHO, b"late")].concat();
        probe.last_dialogue(&request, &frame(ECHO, b"before"))
    }),
    Check::new("pipelined frames are answered in order", |probe| {
        let frames = numbered_frames(1_000);
        probe.dialogue(&frames, &frames)
    }),
    Check::new("answers that nobody reads for a while all arrive", |probe| {
        let frames = numbered_frames(60_000);
        probe.unread_dialogue(&frames, &frames)
    }),
    Check::new("a frame may come byte by byte", |probe| {
        probe.dripped_dialogue(
            &[frame(ECHO, b"drip"), frame(REVERSE, b"abc")].concat(),
            &[frame(ECHO, b"drip"), frame(ECHO, b"cba")].concat(),
        )
    }),
    Check::new("frames may be cut anywhere", |probe| {
        let request =
            [frame(ECHO, b"one"), frame(ECHO, b""), frame(REVERSE, "é!".as_bytes())].concat();
        let answer = [frame(ECHO, b"one"), frame(ECHO, b""), frame(ECHO, "!é".as_bytes())].concat();
        probe.cut_dialogue(&request, &answer)
    }),
    Check::new("a half-closed connection is answered, then closed", |probe| {
        let frames = numbered_frames(2);
        probe.half_closed_dialogue(&frames, &frames)
    }),
    Check::new("half a frame is never run", |probe| {
        let whole = frame(ECHO, b"whole");
        for len in [1, 5, whole.len() - 1] {
            let half = whole.get(..len).unwrap_or_default();
            probe.half_closed_dialogue(&[&whole[..], half].concat(), &whole)?;
        }
        Ok(())
    }),
    Check::new("half a frame holds nobody else up", |probe| {
        let slow_frame = frame(ECHO, b"slow");
        let (first, second) = slow_frame.split_at(6);
        let mut slow = probe.open()?;
        slow.send(first)?;
        exchange(probe, ECHO, b"quick", b"quick")?;
        slow.send(second)?;
        slow.expect(&slow_frame)
    }),
    Check::at(
        Limit::Frame,
        "a frame of exactly the limit is taken in whole before anything is read",
        |probe| {
            let large = frame(ECHO, &vec![b'x'; probe.assumed.payload_len_max()]);
            probe.dialogue(&large, &large)
        },
    ),
    Check::at(Limit::Frame, "a longer frame is refused by its header alone", |probe| {
        let mut wire = probe.open()?;
        wire.send(&header(ECHO, probe.assumed.payload_len_max() + 1))?;
        wire.expect(&frame(ERROR, b"FRAME_TOO_LARGE"))?;
        let mut giant = probe.open()?;
        giant.send(&[ECHO, 255, 255, 255, 255])?;
        giant.expect(&frame(ERROR, b"FRAME_TOO_LARGE"))
    }),
    Check::at(
        Limit::Frame,
        "the payload of a refused frame is skipped and the session goes on",
        |probe| {
            let payload_len = probe.assumed.payload_len_max() + 1;
            let mut wire = probe.open()?;
            wire.send(&header(ECHO, payload_len))?;
            wire.expect(&frame(ERROR, b"FRAME_TOO_LARGE"))?;
            wire.send(&vec![b'x'; payload_len])?;
            wire.send(&frame(ECHO, b"on"))?;
            wire.expect(&frame(ECHO, b"on"))
        },
    ),
];

fn exchange(probe: &Probe<'_>, code: u8, request: &[u8], answer: &[u8]) -> Outcome {
    probe.dialogue(&frame(code, request), &frame(ECHO, answer))
}

fn frame(code: u8, payload: &[u8]) -> Vec<u8> {
    [&header(code, payload.len())[..], payload].concat()
}

/// A header; a length that none can carry becomes the largest that one can.
fn header(code: u8, payload_len: usize) -> [u8; 5] {
    Header { code, payload_len: u32::try_from(payload_len).unwrap_or(u32::MAX) }.encode()
}

fn numbered_frames(count: usize) -> Vec<u8> {
    (0..count)
        .flat_map(|number| frame(ECHO, format!("frame number {number} of many").as_bytes()))
        .collect()
}

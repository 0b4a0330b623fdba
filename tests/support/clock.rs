//! Local times in answers. They are checked against the clock of the test, then replaced by a fixed
//! text, so that answers can be compared.

use chrono::{DateTime, Duration, Local, NaiveDateTime, NaiveTime};

/// The text that replaces a time.
pub const COVER: &str = "<local time>";

/// The greatest difference of an answer's time from the clock. It allows a machine that stalls for
/// minutes, and finds a wrong hour.
const TOLERANCE: Duration = Duration::minutes(2);

const TEXT_PREFIX: &[u8] = b"TIME ";
const TEXT_LEN: usize = "2025-09-12T17:24:13-05:00".len();
const CHAT_PREFIX: &[u8] = b"Server Time: ";
const CHAT_LEN: usize = "17:24:13".len();

/// Returns `bytes` with every right time of the text and the chat protocol replaced by [`COVER`].
///
/// A time in a wrong form stays as it is, so that the comparison that follows fails. A time that is
/// not the present one panics.
pub fn cover_local_times(bytes: &[u8]) -> Vec<u8> {
    let mut covered = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    let mut at_line_start = true;
    while let Some((&first, after)) = rest.split_first() {
        let stamp = match at_line_start {
            true => stamp(rest, TEXT_PREFIX, TEXT_LEN, is_local_now),
            false => None,
        };
        let stamp = stamp.or_else(|| stamp_of_chat(rest));
        if let Some((prefix, after)) = stamp {
            covered.extend_from_slice(prefix);
            covered.extend_from_slice(COVER.as_bytes());
            rest = after;
            at_line_start = false;
        } else {
            covered.push(first);
            rest = after;
            at_line_start = first == b'\n';
        }
    }
    covered
}

fn stamp_of_chat(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    stamp(bytes, CHAT_PREFIX, CHAT_LEN, is_time_of_day_now)
}

/// Returns the prefix and what follows the time, if `bytes` begin with a prefix and a time in the
/// right form.
fn stamp<'a>(
    bytes: &'a [u8],
    prefix: &[u8],
    len: usize,
    well_formed: fn(&str) -> bool,
) -> Option<(&'a [u8], &'a [u8])> {
    let time = bytes.strip_prefix(prefix)?.get(..len)?;
    let (before, after) = (bytes.get(..prefix.len())?, bytes.get(prefix.len() + len..)?);
    well_formed(std::str::from_utf8(time).ok()?).then_some((before, after))
}

/// True for `2025-09-12T17:24:13-05:00`, with our own offset; panics for another moment than now.
fn is_local_now(text: &str) -> bool {
    let now = Local::now();
    let Ok(time) = DateTime::parse_from_rfc3339(text) else { return false };
    // Only one form is right and `parse_from_rfc3339` takes several, so the time is written again
    // and compared.
    if time.format("%Y-%m-%dT%H:%M:%S%:z").to_string() != text {
        return false;
    }
    assert!((now.fixed_offset() - time).abs() < TOLERANCE, "{text} is not now: {now}");
    time.offset().local_minus_utc() == now.offset().local_minus_utc()
}

/// True for `17:24:13`; panics for another moment than now.
fn is_time_of_day_now(text: &str) -> bool {
    let now = Local::now().naive_local();
    let Ok(time) = NaiveTime::parse_from_str(text, "%H:%M:%S") else { return false };
    if time.format("%H:%M:%S").to_string() != text {
        return false;
    }
    // Around midnight the answer may be of the day before or after.
    let near = |day: NaiveDateTime| (now - day.date().and_time(time)).abs() < TOLERANCE;
    let days = [now, now - Duration::days(1), now + Duration::days(1)];
    assert!(days.into_iter().any(near), "{text} is not now: {now}");
    true
}

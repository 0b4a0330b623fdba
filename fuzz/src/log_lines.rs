//! A logger that writes nothing and checks every line: the bytes of a peer must not begin a line,
//! nor control a terminal.

use std::sync::Once;

use log::{LevelFilter, Log, Metadata, Record};

/// The longest line of the activity log: 64 bytes of the peer, each shown as four characters, and
/// the fixed text.
const LINE_LEN_MAX: usize = 64 * 4 + 128;

/// True exactly when a character breaks a line, controls a terminal, or changes the direction of
/// text.
fn is_harmful(c: char) -> bool {
    let bidi = "\u{61c}\u{200e}\u{200f}\u{202a}\u{202b}\u{202c}\
    \u{202d}\u{202e}\u{2066}\u{2067}\u{2068}\u{2069}";
    c.is_control() || bidi.contains(c) || matches!(c, '\u{2028}' | '\u{2029}')
}

struct Guard;

static GUARD: Guard = Guard;

impl Log for Guard {
    fn enabled(&self, _metadata: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        let line = record.args().to_string();
        assert!(!line.contains(is_harmful), "a raw character in the log: {line:?}");
        assert!(line.len() <= LINE_LEN_MAX, "a log line of {} bytes: {line}", line.len());
    }

    fn flush(&self) {}
}

/// Checks every log line from here on.
pub fn guard() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        log::set_logger(&GUARD).expect("no other logger is set");
        log::set_max_level(LevelFilter::Trace);
    });
}

//! The decoder of lines against one that has the whole stream in memory.

use tinytcp_core::wire::line::{Ending, Item, LineDecoder};

use crate::plan::Plan;

/// The lines are the same for every cut of the stream. None is longer than the limit, and of a
/// longer one nothing is kept.
pub fn check(data: &[u8]) {
    let plan = Plan::new(data);
    let line_max = [0, 1, 2, 8, 40, 250, 1500, 1 << 30][plan.knobs()];
    let mut lines = LineDecoder::new(line_max);
    let (mut input, mut found) = (Vec::new(), Vec::new());
    for piece in plan.pieces() {
        input.extend_from_slice(piece.bytes);
        loop {
            let (rest, item) = lines.next(&input);
            let (found_one, rest_len) = (item.map(Found::of), rest.len());
            assert!(input.ends_with(rest), "the rest is the end of the input");
            input.drain(..input.len() - rest_len);
            let Some(item) = found_one else { break };
            found.push(item);
        }
        assert!(
            input.len() <= line_max as usize + 1,
            "{} bytes wait for the end of a line",
            input.len()
        );
        assert!(!lines.is_dropping() || input.len() <= 1, "bytes of a refused line are kept");
    }
    assert_eq!(found, oracle(line_max as usize, plan.stream));
}

/// An item that owns its bytes.
#[derive(Debug, PartialEq, Eq)]
enum Found {
    Line(Vec<u8>, Ending),
    TooLong,
    Dropped(Ending),
}

impl Found {
    fn of(item: Item<'_>) -> Self {
        match item {
            Item::Line(line, ending) => Self::Line(line.to_vec(), ending),
            Item::TooLong => Self::TooLong,
            Item::Dropped(ending) => Self::Dropped(ending),
        }
    }
}

fn oracle(line_max: usize, input: &[u8]) -> Vec<Found> {
    let mut found = Vec::new();
    for line in input.split_inclusive(|byte| *byte == b'\n') {
        let whole = line.strip_suffix(b"\n");
        let line = whole.unwrap_or(line);
        let (line, ending) =
            line.strip_suffix(b"\r").map_or((line, Ending::Lf), |line| (line, Ending::CrLf));
        match (whole, line.len() > line_max) {
            (Some(_), false) => found.push(Found::Line(line.to_vec(), ending)),
            (Some(_), true) => found.extend([Found::TooLong, Found::Dropped(ending)]),
            (None, true) => found.push(Found::TooLong),
            (None, false) => {}
        }
    }
    found
}

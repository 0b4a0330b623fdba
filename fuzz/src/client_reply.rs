//! The client reads the bytes of any server, also of a hostile one.

use tinytcp_cli::target::ProtocolName;
use tinytcp_client::dialogue::{
    AnswerBuffer, AnswerState, DueAnswer, Extent, Request, encode, unasked,
};
use tinytcp_client::stdout::printable;

use crate::plan::Plan;

/// The first line of the stream is the request, and the rest is the server's reply.
///
/// The client shows only what the server has sent, once and in order, and nothing that controls a
/// terminal. Lines and frames are the same for every cut of the bytes. Where only silence ends an
/// answer, the pieces make a difference.
pub fn check(data: &[u8]) {
    let plan = Plan::new(data);
    let protocol = ProtocolName::ALL[plan.knobs() % ProtocolName::ALL.len()];
    let asked = plan.stream.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let due = due(protocol, asked);
    let mut reading = Reading::new(due);
    let mut skipped = (asked.len() + 1).min(plan.stream.len());
    let said = &plan.stream[skipped..];
    for piece in plan.pieces() {
        let bytes = &piece.bytes[skipped.min(piece.bytes.len())..];
        skipped -= piece.bytes.len() - bytes.len();
        reading.receive(bytes, piece.is_last_of_burst);
    }
    match &reading.due {
        DueAnswer::Line => assert_eq!(reading.answers, lines(said)),
        DueAnswer::Frame => assert_eq!((reading.answers, reading.is_refused), frames(said)),
        DueAnswer::Message(_) => {}
    }
}

/// Returns the answer that is due to `line`, or what the server may send without a request if none
/// is due.
fn due(protocol: ProtocolName, line: &[u8]) -> DueAnswer {
    match encode(protocol, line, &mut Vec::new()) {
        Ok(Request::Answered(due) | Request::Last(Some(due))) => due,
        Ok(Request::Unanswered | Request::Last(None)) => unasked(protocol),
        Err(error) => {
            assert!(!error.to_string().chars().any(char::is_control), "{error:?}");
            unasked(protocol)
        }
    }
}

/// An answer buffer, and what has been taken from it.
struct Reading {
    due: DueAnswer,
    /// The answer that comes next, with the state of its comparison.
    next: DueAnswer,
    buffer: AnswerBuffer,
    received: Vec<u8>,
    /// The answers so far, and for each whether it is an error.
    answers: Vec<(Vec<u8>, bool)>,
    /// The places in `received` where the last answer may have ended.
    places: Vec<usize>,
    is_refused: bool,
}

impl Reading {
    fn new(due: DueAnswer) -> Self {
        let (buffer, received) = (AnswerBuffer::default(), Vec::new());
        Self {
            next: due.clone(),
            due,
            buffer,
            received,
            answers: Vec::new(),
            places: vec![0],
            is_refused: false,
        }
    }

    /// Appends received bytes and takes every complete answer. At a silence it also takes the
    /// answer that the silence ends.
    fn receive(&mut self, bytes: &[u8], then_silent: bool) {
        if self.is_refused {
            return;
        }
        self.buffer.append(bytes);
        self.received.extend_from_slice(bytes);
        loop {
            match self.buffer.find(&mut self.next) {
                // News of a room is taken as an answer is, so that it is compared too.
                Ok(AnswerState::Complete(extent) | AnswerState::News(extent)) => self.take(extent),
                Ok(AnswerState::CompleteIfSilent) if then_silent => self.take(self.buffer.rest()),
                Ok(AnswerState::Incomplete | AnswerState::CompleteIfSilent) => return,
                Err(_) => {
                    self.is_refused = true;
                    return;
                }
            }
        }
    }

    fn take(&mut self, extent: Extent) {
        assert!(!self.buffer.is_empty(), "an answer out of nothing");
        let answer = self.buffer.take(extent);
        self.next = self.due.clone();
        let shown = printable(answer.text);
        assert!(shown.chars().all(|c| c == '\t' || !c.is_control()), "{shown:?}");
        if matches!(self.due, DueAnswer::Message(_)) {
            self.places = places_after(answer.text, &self.received, &self.places);
            assert!(
                !self.places.is_empty(),
                "\"{}\" was not said there",
                answer.text.escape_ascii()
            );
            assert_eq!(answer.is_error, answer.text.starts_with(b"ERROR "));
        }
        self.answers.push((answer.text.to_vec(), answer.is_error));
    }
}

/// Returns the places in `received` where the answer `text` may have ended, if the answer before it
/// may have ended at each of `places`. The line end of that answer may be between them.
fn places_after(text: &[u8], received: &[u8], places: &[usize]) -> Vec<usize> {
    let endings: [&[u8]; 3] = [b"", b"\n", b"\r\n"];
    let starts = places.iter().flat_map(|place| {
        let rest = &received[*place..];
        endings
            .into_iter()
            .filter(|ending| rest.starts_with(ending))
            .map(|ending| *place + ending.len())
    });
    let mut ends: Vec<usize> = starts
        .filter(|start| received[*start..].starts_with(text))
        .map(|start| start + text.len())
        .collect();
    ends.sort_unstable();
    ends.dedup();
    ends
}

fn lines(said: &[u8]) -> Vec<(Vec<u8>, bool)> {
    let whole =
        said.split_inclusive(|byte| *byte == b'\n').filter_map(|line| line.strip_suffix(b"\n"));
    whole.map(|line| (line.to_vec(), line.starts_with(b"ERROR "))).collect()
}

/// Returns the payloads of all frames before one that no server may send, and true if there is such
/// a frame.
fn frames(mut said: &[u8]) -> (Vec<(Vec<u8>, bool)>, bool) {
    let mut payloads = Vec::new();
    while let [code, a, b, c, d, body @ ..] = said {
        let claimed = u32::from_be_bytes([*a, *b, *c, *d]) as usize;
        // Answers, news of rooms, and errors. The header of a TLS alert looks like such a frame.
        let is_alert = matches!(said, [0x15, 3, 0..=4, 0, 2, ..]);
        if !matches!(code, 1 | 4 | 5 | 16..=21 | 23 | 255) || is_alert || claimed > 64 << 20 {
            return (payloads, true);
        }
        let Some((payload, rest)) = body.split_at_checked(claimed) else { break };
        payloads.push((payload.to_vec(), *code == 255));
        said = rest;
    }
    (payloads, false)
}

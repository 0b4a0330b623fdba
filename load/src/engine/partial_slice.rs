//! Slices and steps, of which the threads send their parts.

use tinytcp_core::os::moment::Moment;

use super::slice_recorder::{SlicePart, SliceSpan};
use crate::measurement::outcome::Slice;

/// A slice or a step, to which each thread adds its parts.
#[derive(Clone, Debug)]
pub(super) struct PartialSlice {
    slice: Slice,
    /// Number of parts that have arrived.
    parts: usize,
    /// Connections of each thread open at its end, and the most that each had open at once.
    open: Vec<usize>,
    open_most: Vec<usize>,
}

impl PartialSlice {
    /// Creates the slice `span` of a measurement window that starts at `base`.
    pub(super) fn new(span: SliceSpan, base: Moment, threads: usize) -> Self {
        let (start, length) = (span.from.since(base), span.to.since(span.from));
        let (latency, handshake) = Default::default();
        Self {
            slice: Slice {
                start,
                length,
                sent: 0,
                correct: 0,
                errors: 0,
                open: 0,
                latency,
                handshake,
            },
            parts: 0,
            open: vec![0; threads],
            open_most: vec![0; threads],
        }
    }

    /// Adds the part of a thread.
    pub(super) fn add(&mut self, part: &SlicePart, is_open_loop: bool) {
        self.parts += 1;
        self.open[part.worker] = part.open;
        self.open_most[part.worker] = self.open_most[part.worker].max(part.open_most);
        self.slice.sent += part.counts.sent;
        self.slice.correct += part.counts.correct;
        self.slice.errors += part.counts.errors.total();
        self.slice.open = self.open.iter().sum();
        self.slice.handshake.merge(&part.counts.tls.handshake);
        self.slice.latency.merge(if is_open_loop {
            &part.counts.from_schedule
        } else {
            &part.counts.from_send
        });
    }

    /// Returns the number of parts that have arrived.
    pub(super) const fn parts(&self) -> usize {
        self.parts
    }

    /// Returns the sum, over the threads, of the most connections that each had open at once.
    pub(super) fn open_most(&self) -> usize {
        self.open_most.iter().sum()
    }

    /// Returns the slice.
    pub(super) const fn slice(&self) -> &Slice {
        &self.slice
    }

    /// Returns the slice.
    pub(super) fn into_slice(self) -> Slice {
        self.slice
    }
}

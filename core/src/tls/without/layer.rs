//! The layer of a program that is built without TLS: there is none.

use std::fmt;

use super::TlsSettings;
use super::info::TlsInfo;
use crate::buffers::buffer::Buffer;
use crate::buffers::pool::Pool;

/// The TLS layer of one connection. Without the feature `tls` it has no values.
#[derive(Debug)]
pub enum Layer {}

/// The alert for a connection that finds no place, which no program without TLS sends.
pub const BUSY_ALERT: [u8; 7] = [0; 7];

/// A failure of the layer: the program has none.
#[derive(Clone, Copy, Debug)]
pub struct LayerError;

impl fmt::Display for LayerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("this program is built without TLS")
    }
}

/// What a step of the handshake has achieved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Nothing yet.
    Incomplete,
    /// An answer.
    Answered,
    /// The end of the handshake.
    Complete,
}

#[expect(missing_docs, reason = "the methods of the layer, none of which can be called")]
impl Layer {
    pub fn new(settings: &TlsSettings, _: Buffer) -> Result<Self, LayerError> {
        match *settings {}
    }

    pub fn raw_mut(&mut self) -> &mut Buffer {
        match *self {}
    }

    #[must_use]
    pub const fn is_full(&self) -> bool {
        match *self {}
    }

    #[must_use]
    pub const fn has_unopened(&self) -> bool {
        match *self {}
    }

    #[must_use]
    pub const fn raw_len(&self) -> usize {
        match *self {}
    }

    #[must_use]
    pub const fn has_ended(&self) -> bool {
        match *self {}
    }

    #[must_use]
    pub const fn is_unanswered(&self) -> bool {
        match *self {}
    }

    #[must_use]
    pub const fn is_other_protocol(&self) -> bool {
        match *self {}
    }

    pub const fn sealed(&mut self) -> &mut Buffer {
        match *self {}
    }

    #[must_use]
    pub const fn is_flushed(&self) -> bool {
        match *self {}
    }

    #[must_use]
    pub const fn sealed_len(&self) -> usize {
        match *self {}
    }

    pub fn shake_hands(&mut self, _: &mut Buffer, _: &mut Pool) -> Result<Step, LayerError> {
        match *self {}
    }

    pub fn open(&mut self, _: &mut Buffer, _: &mut Pool) -> Result<usize, LayerError> {
        match *self {}
    }

    #[must_use]
    pub const fn room_wanted(&self) -> usize {
        match *self {}
    }

    pub fn seal(&mut self, _: &mut Buffer, _: &mut Pool) -> Result<(), LayerError> {
        match *self {}
    }

    pub const fn is_finished(&self) -> bool {
        match *self {}
    }

    pub fn finish(&mut self, _: &mut Pool) {
        match *self {}
    }

    pub fn drop_unopened(&mut self, _: &mut Pool) {
        match *self {}
    }

    #[must_use]
    pub const fn info(&self) -> TlsInfo {
        match *self {}
    }

    #[must_use]
    pub const fn held_bytes(&self) -> usize {
        match *self {}
    }

    pub fn shrink(&mut self, _: &mut Pool) {
        match *self {}
    }

    pub fn release(&mut self, _: &mut Pool) {
        match *self {}
    }
}

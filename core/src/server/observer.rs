//! An observer of the loop: code of the program that follows the state of the server.

use std::fmt;
use std::time::Duration;

use crate::status::Status;

/// Sees the state of the server before each wait for events, and once at the end.
#[derive(Default)]
pub(super) struct Observer(Option<Box<Observe>>);

type Observe = dyn FnMut(&Status) -> Option<Duration> + Send;

impl Observer {
    pub(super) fn new(observe: impl FnMut(&Status) -> Option<Duration> + Send + 'static) -> Self {
        Self(Some(Box::new(observe)))
    }

    /// Shows the state. Returns after which time it must be shown again, even if no event comes.
    pub(super) fn observe(&mut self, status: &Status) -> Option<Duration> {
        self.0.as_mut().and_then(|observe| observe(status))
    }
}

impl fmt::Debug for Observer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Observer").field(&self.0.is_some()).finish()
    }
}

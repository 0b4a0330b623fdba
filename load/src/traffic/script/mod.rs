//! The script of a run, and that of each of its connections.

pub mod constant;
pub mod dialogue;
pub mod rendered;
pub mod templates;

use std::sync::Arc;

use constant::Script;
use dialogue::Dialogue;
use rendered::RenderedDialogue;
use templates::TemplateScript;

/// The script of a run. It is chosen before the run, so that a run without values costs nothing for
/// them.
#[derive(Clone, Debug)]
pub enum RunScript {
    /// The same bytes for all connections.
    Constant(Arc<Script>),
    /// Each connection renders its own.
    Templates(Arc<TemplateScript>),
}

impl RunScript {
    /// Returns the script of the connection with this number, and the place of its first message.
    #[must_use]
    pub fn begin(&self, connection: usize) -> (ConnectionScript, usize) {
        match self {
            // A large step that shares no divisor with usual script lengths: neighbouring
            // connections start far apart.
            Self::Constant(script) => (
                ConnectionScript::Constant(Arc::clone(script)),
                connection.wrapping_mul(7919) % script.len(),
            ),
            Self::Templates(script) => {
                let dialogue = RenderedDialogue::new(Arc::clone(script), connection);
                (ConnectionScript::Rendered(Box::new(dialogue)), 0)
            }
        }
    }

    /// Returns true if all requests get a reply.
    #[must_use]
    pub fn is_answered(&self) -> bool {
        match self {
            Self::Constant(script) => script.is_answered(),
            Self::Templates(script) => script.is_answered(),
        }
    }

    /// Returns the size of the longest request with the longest reply of known bytes.
    #[must_use]
    pub fn message_bytes_max(&self) -> usize {
        let (request, reply) = match self {
            Self::Constant(script) => (script.request_bytes_max(), script.reply_bytes_max()),
            Self::Templates(script) => (script.request_bytes_max(), script.reply_bytes_max()),
        };
        request.saturating_add(reply)
    }

    /// Returns the memory that the script itself uses, in bytes.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        match self {
            Self::Constant(script) => script.memory_bytes(),
            Self::Templates(_) => 0,
        }
    }
}

/// The script of a connection.
#[derive(Debug)]
pub enum ConnectionScript {
    /// That of all connections.
    Constant(Arc<Script>),
    /// Its own.
    Rendered(Box<RenderedDialogue>),
}

impl ConnectionScript {
    /// Returns the bytes of `count` requests from `place`, or of as many as one slice has.
    #[must_use]
    pub fn requests(&self, place: usize, count: usize) -> &[u8] {
        match self {
            Self::Constant(script) => script.requests(place, count),
            Self::Rendered(dialogue) => dialogue.requests(place, count),
        }
    }

    /// Returns how many requests from `place` end within their first `len` bytes, and the length of
    /// those.
    #[must_use]
    pub fn requests_within(&self, place: usize, len: usize) -> (usize, usize) {
        match self {
            Self::Constant(script) => script.requests_within(place, len),
            Self::Rendered(dialogue) => dialogue.requests_within(place, len),
        }
    }

    /// Returns the place `count` messages after `place`.
    #[must_use]
    pub fn after(&self, place: usize, count: usize) -> usize {
        match self {
            Self::Constant(script) => script.after(place, count),
            Self::Rendered(dialogue) => dialogue.after(place, count),
        }
    }

    /// Returns the requests and replies.
    #[must_use]
    pub fn dialogue(&self) -> &dyn Dialogue {
        match self {
            Self::Constant(script) => &**script,
            Self::Rendered(dialogue) => &**dialogue,
        }
    }
}

//! The session of a connection, and the TLS layer through which its bytes pass, if there is one.

use crate::buffers::buffer::Buffer;
use crate::buffers::pool::Pool;
use crate::os::moment::Moment;
use crate::protocol::{Context, Session, Step};
use crate::tls::layer::LayerError;
use crate::tls::{Layer, TlsInfo, TlsSettings};

/// The session of a connection, and how its bytes travel.
pub(super) enum Conversation {
    /// The bytes of the session are those of the kernel.
    Plain(Box<dyn Session>),
    /// The bytes of the session pass through a layer.
    Encrypted(Box<Encrypted>),
}

/// An encrypted session.
pub(super) struct Encrypted {
    pub layer: Layer,
    /// The session; a [`NoSession`] until the handshake is complete.
    pub session: Box<dyn Session>,
    /// When the first byte of the incomplete record arrived; [`Moment::NEVER`] if there is none.
    pub record_began: Moment,
    /// What the handshake has agreed on, once it is complete.
    pub info: Option<TlsInfo>,
}

// The layer costs a plain connection nothing.
const _: () = assert!(size_of::<Conversation>() == size_of::<Box<dyn Session>>());

/// The session of a connection before its protocol creates one. It sends nothing.
pub(super) struct NoSession;

impl Session for NoSession {
    fn advance(&mut self, _input: &[u8], _context: &mut Context<'_>) -> (usize, Step) {
        (0, Step::Incomplete { missing: None })
    }

    fn refuse(&mut self, _input: &[u8], _context: &mut Context<'_>) -> usize {
        0
    }
}

impl Encrypted {
    /// Decrypts the records that have arrived: see [`Layer::open`]. Notes when an incomplete record
    /// began. Further bytes of it do not change this moment.
    pub fn open(
        &mut self,
        input: &mut Buffer,
        pool: &mut Pool,
        now: Moment,
    ) -> Result<usize, LayerError> {
        let before = self.layer.raw_len();
        let count = self.layer.open(input, pool)?;
        let len = self.layer.raw_len();
        if len == 0 {
            self.record_began = Moment::NEVER;
        } else if len < before || self.record_began == Moment::NEVER {
            self.record_began = now;
        }
        Ok(count)
    }
}

impl Conversation {
    /// Creates the conversation of a connection whose handshake begins with the bytes in `raw`.
    pub fn encrypted(settings: &TlsSettings, raw: Buffer) -> Result<Self, LayerError> {
        Layer::new(settings, raw).map(|layer| {
            let session = Box::new(NoSession);
            Self::Encrypted(Box::new(Encrypted {
                layer,
                session,
                record_began: Moment::NEVER,
                info: None,
            }))
        })
    }

    /// Replaces the session.
    pub fn set_session(&mut self, new: Box<dyn Session>) {
        match self {
            Self::Plain(session) => *session = new,
            Self::Encrypted(it) => it.session = new,
        }
    }

    #[inline]
    pub fn session(&mut self) -> &mut dyn Session {
        self.parts().0
    }

    /// Returns the session, and what the handshake has agreed on.
    #[inline]
    pub fn parts(&mut self) -> (&mut dyn Session, Option<&TlsInfo>) {
        match self {
            Self::Plain(session) => (session.as_mut(), None),
            Self::Encrypted(it) => {
                let Encrypted { session, info, .. } = it.as_mut();
                (session.as_mut(), info.as_ref())
            }
        }
    }

    /// Returns the layer, if there is one.
    #[inline]
    pub const fn layer(&self) -> Option<&Layer> {
        match self {
            Self::Plain(_) => None,
            Self::Encrypted(it) => Some(&it.layer),
        }
    }

    /// Returns the layer, if there is one.
    #[inline]
    pub const fn layer_mut(&mut self) -> Option<&mut Layer> {
        match self {
            Self::Plain(_) => None,
            Self::Encrypted(it) => Some(&mut it.layer),
        }
    }

    /// Returns the bytes that the kernel gets next: the output of a plain session, or records with
    /// a part of it.
    #[inline]
    pub fn seal<'a>(
        &'a mut self,
        output: &'a mut Buffer,
        pool: &mut Pool,
    ) -> Result<&'a mut Buffer, LayerError> {
        match self {
            Self::Plain(_) => Ok(output),
            Self::Encrypted(it) => it.layer.seal(output, pool).map(|()| it.layer.sealed()),
        }
    }

    /// Restarts the time of an incomplete record at `now`.
    pub const fn restart_record(&mut self, now: Moment) {
        if let Self::Encrypted(it) = self
            && !matches!(it.record_began, Moment::NEVER)
        {
            it.record_began = now;
        }
    }

    /// Returns since when a record is incomplete; [`Moment::NEVER`] if none is.
    #[inline]
    pub const fn record_began(&self) -> Moment {
        match self {
            Self::Plain(_) => Moment::NEVER,
            Self::Encrypted(it) => it.record_began,
        }
    }
}

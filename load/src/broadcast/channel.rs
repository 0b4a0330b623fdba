//! The channel of a member: its socket, and the TLS layer of an encrypted one.

use std::io::{self, Read, Write};

use mio::net::TcpStream;
use tinytcp_core::os::moment::Moment;
use tinytcp_core::os::system::{interrupted, would_block};

use super::wire::ArrivalError;
use crate::engine::connection::tls_layer::TlsLayer;
use crate::traffic::plan::TlsPlan;

/// The end of a connection, with a reason.
#[derive(Debug)]
pub struct Ended(pub String);

impl From<io::Error> for Ended {
    fn from(error: io::Error) -> Self {
        Self(error.to_string())
    }
}

impl From<ArrivalError> for Ended {
    fn from(error: ArrivalError) -> Self {
        Self(error.to_string())
    }
}

/// The channel of a member. Dropping it closes the connection, after the end of TLS.
#[derive(Debug)]
pub struct Channel {
    stream: TcpStream,
    /// The TLS layer, from the begin of the handshake; `None` without TLS.
    tls: Option<Box<TlsLayer>>,
}

impl Channel {
    /// Creates the channel of a connection that is being opened.
    pub const fn new(stream: TcpStream) -> Self {
        Self { stream, tls: None }
    }

    /// Returns the socket.
    pub const fn stream(&self) -> &TcpStream {
        &self.stream
    }

    /// Begins the handshake of TLS, and sends its first record.
    ///
    /// # Errors
    /// When the connection is over, or the system has no random bytes.
    pub fn begin_handshake(&mut self, plan: &TlsPlan) -> Result<(), Ended> {
        // The report has no latency of handshakes, so their begin does not matter.
        let layer = TlsLayer::new(plan, 0, Moment::START)
            .map_err(|_| Ended("the system has no random bytes for TLS".into()))?;
        self.tls = Some(layer);
        self.send_records()
    }

    /// Returns true if messages can be sent: without TLS, or after its handshake.
    pub fn is_established(&self) -> bool {
        self.tls.as_ref().is_none_or(|layer| layer.is_established())
    }

    /// Sends the start of `output` that the kernel takes, and removes it.
    ///
    /// # Errors
    /// When the connection is over.
    pub fn send(&mut self, output: &mut Vec<u8>) -> Result<(), Ended> {
        let mut written = 0;
        while written < output.len() {
            let bytes = &output[written..];
            let result = match &mut self.tls {
                Some(layer) => layer.write(&mut self.stream, bytes),
                None => self.stream.write(bytes),
            };
            match result {
                Ok(len) => written += len,
                Err(error) if would_block(&error) => break,
                Err(error) if interrupted(&error) => {}
                Err(error) => return Err(error.into()),
            }
        }
        output.drain(..written);
        self.send_records()
    }

    /// Sends the records of the layer itself, such as those of the handshake. An event reports when
    /// a full socket has room for the rest.
    fn send_records(&mut self) -> Result<(), Ended> {
        let Some(layer) = &mut self.tls else { return Ok(()) };
        match layer.send(&mut self.stream) {
            Err(error) if !would_block(&error) => Err(error.into()),
            _ => Ok(()),
        }
    }

    /// Reads into `block` what the kernel has, and returns its length; `None` if it has nothing.
    ///
    /// # Errors
    /// When the connection is over.
    pub fn read(&mut self, block: &mut [u8]) -> Result<Option<usize>, Ended> {
        loop {
            match self.stream.read(block) {
                Ok(0) => return Err(self.end_of_stream()),
                Ok(len) => return Ok(Some(len)),
                Err(error) if would_block(&error) => return Ok(None),
                Err(error) if interrupted(&error) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Appends to `plain` what `bytes` of the kernel mean, to the last one. Without TLS, they mean
    /// themselves.
    ///
    /// # Errors
    /// When TLS has failed or has ended. `plain` then has what came before.
    pub fn open(
        &mut self,
        mut bytes: &[u8],
        plan: Option<&TlsPlan>,
        plain: &mut Vec<u8>,
    ) -> Result<(), Ended> {
        let (Some(layer), Some(plan)) = (&mut self.tls, plan) else {
            plain.extend_from_slice(bytes);
            return Ok(());
        };
        while !bytes.is_empty() {
            let opened = layer.open(&mut bytes);
            loop {
                let received = layer.received();
                let len = received.len();
                if len == 0 {
                    break;
                }
                plain.extend_from_slice(received);
                layer.consume(len);
            }
            opened.map_err(|failure| Ended(failure.text(plan)))?;
            if layer.is_ended() {
                return Err(Ended("the server closed the connection".into()));
            }
        }
        self.send_records()
    }

    fn end_of_stream(&self) -> Ended {
        Ended(match &self.tls {
            None => "the server closed the connection".into(),
            Some(layer) if layer.is_established() => {
                "the server closed the connection without the end of TLS".into()
            }
            Some(_) => "the server closed the connection before TLS was established".into(),
        })
    }
}

impl Drop for Channel {
    fn drop(&mut self) {
        if let Some(layer) = &mut self.tls {
            layer.close(&mut self.stream);
        }
    }
}

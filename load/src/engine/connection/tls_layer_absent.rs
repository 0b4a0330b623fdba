//! The TLS layer in a build without TLS: no value of it exists.

use std::io;

use mio::net::TcpStream;
use tinytcp_core::os::moment::Moment;

use crate::measurement::causes::ConnectError;
use crate::measurement::tls::TlsSuite;
use crate::traffic::plan::TlsPlan;

/// The layer of one connection.
#[derive(Debug)]
pub enum TlsLayer {}

/// The reason why TLS has failed.
#[derive(Debug)]
pub enum Failure {}

// None of these is ever called.
impl TlsLayer {
    pub fn new(plan: &TlsPlan, _: usize, _: Moment) -> Result<Box<Self>, ConnectError> {
        match *plan {}
    }

    pub fn begun(&self) -> Moment {
        match *self {}
    }

    pub fn is_established(&self) -> bool {
        match *self {}
    }

    pub fn is_ended(&self) -> bool {
        match *self {}
    }

    pub fn is_resumed(&self) -> bool {
        match *self {}
    }

    pub fn suite(&self) -> TlsSuite {
        match *self {}
    }

    pub fn write(&mut self, _: &mut TcpStream, _: &[u8]) -> io::Result<usize> {
        match *self {}
    }

    pub fn send(&mut self, _: &mut TcpStream) -> io::Result<()> {
        match *self {}
    }

    pub fn open(&mut self, _: &mut &[u8]) -> Result<(), Failure> {
        match *self {}
    }

    pub fn received(&mut self) -> &[u8] {
        match *self {}
    }

    pub fn consume(&mut self, _: usize) {
        match *self {}
    }

    pub fn close(&mut self, _: &mut TcpStream) {
        match *self {}
    }
}

impl Failure {
    pub fn cause(&self) -> ConnectError {
        match *self {}
    }

    pub fn text(&self, _: &TlsPlan) -> String {
        match *self {}
    }
}

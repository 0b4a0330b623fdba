//! The subscribers, in one thread.

use std::io::{self, Read};
use std::net::TcpStream as Blocking;
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use socket2::SockRef;
use tinytcp_load::measurement::latency::Latency;

/// The digits at the front of a text: the time at which it was due, in nanoseconds.
pub const STAMP_LEN: usize = 20;

/// The receive buffer of a subscriber that never reads.
const SILENT_BUFFER_BYTES: usize = 4096;

/// The subscribers, and what they have received.
pub struct Crowd {
    poll: Poll,
    subscribers: Vec<Subscriber>,
    /// Subscribers that never read. They stay open until the end.
    _silent: Vec<Blocking>,
    /// The number of bytes of a delivery before its text.
    front: usize,
    /// The number of bytes of a delivery.
    len: usize,
    block: Vec<u8>,
    start: Instant,
    pub delivered: u64,
    pub latency: Latency,
}

struct Subscriber {
    stream: TcpStream,
    partial: Vec<u8>,
}

impl Crowd {
    /// Makes a crowd of connections that have subscribed. The last `silent` ones never read.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn new(
        mut streams: Vec<Blocking>,
        silent: usize,
        (front, back): (usize, usize),
        text_len: usize,
    ) -> io::Result<Self> {
        let silent = streams.split_off(streams.len() - silent);
        for stream in &silent {
            SockRef::from(stream).set_recv_buffer_size(SILENT_BUFFER_BYTES)?;
        }
        let poll = Poll::new()?;
        let mut subscribers = Vec::new();
        for (index, stream) in streams.into_iter().enumerate() {
            stream.set_nonblocking(true)?;
            let mut stream = TcpStream::from_std(stream);
            poll.registry().register(&mut stream, Token(index), Interest::READABLE)?;
            subscribers.push(Subscriber { stream, partial: Vec::new() });
        }
        Ok(Self {
            poll,
            subscribers,
            _silent: silent,
            front,
            len: front + text_len + back,
            block: vec![0; 256 << 10],
            start: Instant::now(),
            delivered: 0,
            latency: Latency::default(),
        })
    }

    /// Returns the number of subscribers that read.
    pub fn readers(&self) -> usize {
        self.subscribers.len()
    }

    /// Starts the clock of the stamps.
    pub fn start(&mut self) {
        self.start = Instant::now();
    }

    /// Returns the time since the start.
    pub fn now(&self) -> Duration {
        self.start.elapsed()
    }

    /// Returns a text of this length that was due at `due`.
    pub fn text(due: Duration, len: usize) -> Vec<u8> {
        let mut text = format!("{:0STAMP_LEN$}", due.as_nanos()).into_bytes();
        text.resize(len, b'x');
        text
    }

    /// Reads what arrives within `wait`.
    ///
    /// # Errors
    /// When a server closes a connection, or sends another length than that of deliveries.
    pub fn read(&mut self, wait: Duration) -> io::Result<()> {
        let mut events = Events::with_capacity(1024);
        match self.poll.poll(&mut events, Some(wait)) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(()),
            polled => polled?,
        }
        for event in &events {
            self.read_one(event.token().0)?;
        }
        Ok(())
    }

    fn read_one(&mut self, index: usize) -> io::Result<()> {
        let subscriber = &mut self.subscribers[index];
        loop {
            let kept = subscriber.partial.len();
            self.block[..kept].copy_from_slice(&subscriber.partial);
            let read = match subscriber.stream.read(&mut self.block[kept..]) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            };
            let now = self.start.elapsed();
            let mut unread = &self.block[..kept + read];
            loop {
                // nats-server pings its clients, and waits long for the answers.
                unread = unread.strip_prefix(b"PING\r\n").unwrap_or(unread);
                let Some((delivery, rest)) = unread.split_at_checked(self.len) else { break };
                let stamp = delivery.get(self.front..self.front + STAMP_LEN);
                let stamp = stamp.and_then(|stamp| std::str::from_utf8(stamp).ok()?.parse().ok());
                let due = stamp.ok_or_else(|| io::Error::other("a delivery has another form"))?;
                self.latency.record(now.saturating_sub(Duration::from_nanos(due)), 1);
                self.delivered += 1;
                unread = rest;
            }
            subscriber.partial = unread.to_vec();
        }
    }
}

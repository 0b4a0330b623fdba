//! Tests of the event loop on a simulated network with a simulated clock.

mod accepting;
mod addresses;
mod admission;
mod bus;
mod bus_world;
mod closing;
mod deadlines;
mod ending;
mod fairness;
mod harness;
mod memory;
mod proxies;
mod reading;
mod reloading;
mod rooms;
mod schedules;
mod stopping;
#[cfg(feature = "tls")]
mod tls;
mod unasked;
mod writing;

use std::time::Duration;

use super::accept::BATCH_MAX;
use super::config::Config;
use super::turn_budget::EXPIRED_MAX;
use crate::buffers::block::Block;
use crate::buffers::pool::BLOCK_LEN;
use crate::close_reason::CloseReason;
use crate::connection::TURN_BYTES_MAX;
use crate::limits::{
    HIGH_WATER_BYTES, LINGER_BYTES_MAX, LINGER_TIMEOUT, Limits, Settings, WRITE_RATE_MIN,
};
use crate::os::mailbox::Mail;
use crate::os::system::{Event, Readiness};
use crate::protocol::binary::Binary;
use crate::protocol::text::Text;
use crate::protocol::{Accepted, Context, Protocol, Session, Step};
use crate::protocol::{chat, echo};
use crate::wire::frame::Header;
use harness::{FakePeer, LoopHarness};

const MILLISECOND: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);
const IDLE: Duration = Duration::from_secs(300);
const MESSAGE: Duration = Duration::from_secs(30);
const WRITE: Duration = Duration::from_secs(30);
const QUIET: Duration = Duration::from_millis(20);
const DRAIN: Duration = Duration::from_secs(5);

fn text() -> LoopHarness {
    LoopHarness::new(Text::new(), Settings::default())
}

fn text_with(change: impl FnOnce(&mut Settings)) -> LoopHarness {
    let mut settings = Settings::default();
    change(&mut settings);
    LoopHarness::new(Text::new(), settings)
}

fn closed_for(harness: &LoopHarness, reason: CloseReason) -> u64 {
    harness.event_loop.shared.status.total().closed_for(reason)
}

/// A protocol whose sessions run a function of the test.
#[derive(Clone, Copy)]
struct FnSession {
    advance: fn(&[u8], &mut Context<'_>) -> (usize, Step),
    /// True if the sessions drop a refused message.
    drops_refused: bool,
}

impl Protocol for FnSession {
    fn name(&self) -> &'static str {
        "improvised"
    }

    fn session(&self, _accepted: &Accepted) -> Box<dyn Session> {
        Box::new(*self)
    }
}

impl Session for FnSession {
    fn advance(&mut self, input: &[u8], context: &mut Context<'_>) -> (usize, Step) {
        (self.advance)(input, context)
    }

    fn refuse(&mut self, input: &[u8], _context: &mut Context<'_>) -> usize {
        if self.drops_refused { input.len() } else { 0 }
    }
}

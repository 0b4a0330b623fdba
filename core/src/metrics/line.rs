//! The state in one line: the answer to the command `STATUS`.

use std::io::{self, Write};

use super::{METRICS, Source, VERSION, Value};
use crate::close_reason::CloseReason;
use crate::status::Status;

/// The first word of the line.
pub const WORD: &str = "STATUS";

/// An upper bound of the line in bytes. A full output and one line fit into one block.
pub const LEN_MAX: usize = 4 << 10;

/// Writes `STATUS` and `key=value` for each value, separated by spaces, without an ending. No key
/// or value has a space. Keys are the names of [`METRICS`]; a reason follows its name after a dot,
/// and a histogram is its count and its sum.
pub fn write(status: &Status, output: &mut impl Write) -> io::Result<()> {
    let total = status.total();
    let obstacle = status.obstacle().map_or("none", |obstacle| obstacle.label());
    write!(output, "{WORD} version={VERSION} state={} obstacle={obstacle}", status.state)?;
    for metric in METRICS.iter().filter(|metric| metric.is_of(status)) {
        let name = metric.name;
        match metric.source {
            Source::Bus(value) => {
                status.bus.iter().try_for_each(|bus| write!(output, " {name}={}", value(bus)))?;
            }
            Source::Server(value) => write!(output, " {name}={}", value(status))?,
            Source::Listener(value) => write!(output, " {name}={}", value(&total))?,
            Source::Earliest(time) => match status.listeners.iter().filter_map(time).min() {
                Some(time) => write!(output, " {name}={}", Value::from(time))?,
                None => write!(output, " {name}=none")?,
            },
            Source::Reason(value) => {
                for reason in CloseReason::ALL {
                    write!(output, " {name}.{}={}", reason.label(), value(&total, reason))?;
                }
            }
            Source::Histogram(value) => {
                let (count, sum) = (value(status).count(), value(status).sum());
                write!(output, " {name}_count={count} {name}_sum={:?}", sum.as_secs_f64())?;
            }
        }
    }
    Ok(())
}

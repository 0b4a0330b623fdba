//! Rooms for scripts: `listen` prints the messages of other members, and `say` sends some.
//!
//! ```text
//!   listen   connection --> News --> lines or objects on stdout, until a count, a time or an end
//!   say      lines --> commands of the protocol --> a script, which prints their answers
//! ```

mod listen;
mod patience;
mod report;
mod say;

pub use listen::{ListenOptions, listen};
pub use report::Form;
pub use say::say;

/// The room of a run, and the name of this member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Membership {
    /// The room.
    pub room: String,
    /// The name that others see; `None` leaves it to the server.
    pub nick: Option<String>,
}

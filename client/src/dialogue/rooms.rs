//! The commands of rooms, in the words of each protocol.

use tinytcp_cli::UsageError;
use tinytcp_cli::target::ProtocolName;

/// The words that name and enter a room and speak in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RoomWords {
    /// Enters the room that is its argument.
    pub join: &'static str,
    /// Sets the name of this member.
    pub nick: &'static str,
    /// Sends its argument to all other members.
    pub say: &'static str,
    /// A line that any server answers, which changes nothing.
    pub keep_alive: &'static str,
}

impl RoomWords {
    /// The words of `protocol`.
    ///
    /// # Errors
    /// For echo, which has no commands.
    pub fn of(protocol: ProtocolName) -> Result<Self, UsageError> {
        match protocol {
            ProtocolName::Text => {
                Ok(Self { join: "JOIN", nick: "NICK", say: "SAY", keep_alive: "HELP" })
            }
            ProtocolName::Binary => {
                Ok(Self { join: "join", nick: "nick", say: "say", keep_alive: "echo" })
            }
            ProtocolName::Chat => {
                Ok(Self { join: "/join", nick: "/nick", say: "/say", keep_alive: "status" })
            }
            ProtocolName::Echo => {
                Err("echo has no rooms: ask a listener of text, binary or chat".into())
            }
        }
    }
}

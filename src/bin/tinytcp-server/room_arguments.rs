//! The flags for rooms.

use clap::Args;
use tinytcp_cli::UsageError;
use tinytcp_cli::units;
use tinytcp_core::limits::Limits;

/// The flags for rooms.
#[derive(Args)]
pub struct RoomArguments {
    /// Maximum number of rooms; a room exists while it has members
    #[arg(long, value_name = "N", env = "TINYTCP_ROOMS_MAX", default_value = "64",
        value_parser = rooms_max)]
    pub rooms_max: usize,

    /// Maximum number of members of a room
    #[arg(long, value_name = "N", env = "TINYTCP_ROOM_MEMBERS_MAX", default_value = "100k",
        value_parser = room_members_max)]
    pub room_members_max: usize,

    /// Memory for the last messages of a room; a member that reads too slowly misses messages
    #[arg(long, value_name = "SIZE", env = "TINYTCP_ROOM_MEMORY", default_value = "1MiB",
        value_parser = units::size)]
    pub room_memory: usize,

    /// Longest text of a message to a room
    #[arg(long, value_name = "SIZE", env = "TINYTCP_SAY_MAX", default_value = "4KiB",
        value_parser = say_max)]
    pub say_max: u32,

    /// Messages per second that one connection may say to a room, and as many at once; further ones
    /// are refused; `off` for no limit
    #[arg(long, value_name = "N", env = "TINYTCP_SAY_RATE", default_value = "100",
        value_parser = say_rate)]
    pub say_rate: SayRate,
}

/// A rate; `None` is `off`. A name of its own, because clap takes an `Option` for a flag that may
/// be absent.
type SayRate = Option<u32>;

impl RoomArguments {
    /// Returns `limits` with the limits of rooms that the flags set.
    pub fn apply(&self, limits: Limits) -> Limits {
        limits
            .with_rooms_max(self.rooms_max)
            .with_room_members_max(self.room_members_max)
            .with_room_memory_bytes_max(self.room_memory)
            .with_say_bytes_max(self.say_max)
            .with_say_rate_max(self.say_rate)
    }
}

fn rooms_max(text: &str) -> Result<usize, UsageError> {
    match units::count(text)? {
        count @ ..=Limits::ROOMS_MAX => Ok(count),
        _ => Err(format!("a server has at most {} rooms", Limits::ROOMS_MAX).into()),
    }
}

fn room_members_max(text: &str) -> Result<usize, UsageError> {
    match units::count(text)? {
        count @ ..=Limits::ROOM_MEMBERS_MAX => Ok(count),
        _ => Err(format!("a room has at most {} members", Limits::ROOM_MEMBERS_MAX).into()),
    }
}

fn say_max(text: &str) -> Result<u32, UsageError> {
    let size = u32::try_from(units::size(text)?).unwrap_or(u32::MAX);
    match size {
        ..=Limits::SAY_BYTES_MAX => Ok(size),
        _ => Err("a message to a room has at most 8KiB".into()),
    }
}

fn say_rate(text: &str) -> Result<SayRate, UsageError> {
    let count = units::count_or_off(text)?;
    Ok(count.map(|count| u32::try_from(count).unwrap_or(u32::MAX)))
}

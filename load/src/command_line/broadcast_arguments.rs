//! The arguments of the mode `broadcast`.

use clap::Args;
use tinytcp_cli::units;

use super::values::{self, Share};

/// The word of the mode.
pub const MODE: &str = "broadcast";

/// The flags that have an effect on the mode.
pub const FLAGS: &[&str] = &[
    "words",
    "connections",
    "duration",
    "rate",
    "timeout",
    "size",
    "protocol",
    "source",
    "proxy_header",
    "tls_ca",
    "tls_insecure",
    "tls_cert",
    "tls_key",
    "tls_server_name",
    "tls_min",
    "rooms",
    "room",
    "publishers",
    "members_silent",
    "fail_if",
    "json",
    "live",
    "live_format",
    "quiet",
];

/// The flags that have an effect on no other mode.
pub const OWN_FLAGS: &[&str] = &["rooms", "room", "publishers", "members_silent"];

/// The rooms and members of `broadcast`.
#[derive(Debug, Args)]
pub struct BroadcastArguments {
    /// With broadcast: number of rooms, over which the -c members are spread
    #[arg(
        long,
        value_name = "N",
        env = "TINYTCP_ROOMS",
        default_value = "1",
        value_parser = units::count
    )]
    pub rooms: usize,

    /// With broadcast: name of the first room; further ones get a number [default: another one in
    /// each run]
    #[arg(long, value_name = "NAME", env = "TINYTCP_ROOM")]
    pub room: Option<String>,

    /// With broadcast: number of members of each room that publish, at -R messages per second
    /// together
    #[arg(
        long,
        value_name = "N",
        env = "TINYTCP_PUBLISHERS",
        default_value = "1",
        value_parser = units::count
    )]
    pub publishers: usize,

    /// With broadcast: members that join and never read: a share (1%) or a number
    #[arg(
        long,
        value_name = "N|%",
        env = "TINYTCP_MEMBERS_SILENT",
        default_value = "0",
        value_parser = values::share
    )]
    pub members_silent: Share,
}

//! Coverage: behaviour of the server that the worlds together must reach.

macro_rules! behaviours {
    ($($name:ident $label:literal,)*) => {
        /// One kind of behaviour.
        #[derive(Clone, Copy, Debug)]
        pub enum Behaviour { $($name,)* }

        /// The name of each kind in a report.
        pub const BEHAVIOURS: [&str; [$($label),*].len()] = [$($label,)*];
    };
}

behaviours! {
    Yield "turns that went on in the next round",
    Pause "rounds that ended with a connection under backpressure",
    Piece "messages ended by a quiet period",
    Refusal "messages refused without memory",
    LingerBound "rounds that ended with more bytes than a lingering connection discards",
    Opening "rounds that ended with an incomplete header of a proxy",
    Delay "connections delayed over the message rate of their address",
    Wait "waits for a deadline or an event",
    Reload "settings reloaded while connections were open",
    OverLimit "limits of connections lowered below the number that were open",
    GradualClose "connections that a drain closed one by one",
    AdminWhileFull "answers of `http` while the limit of connections was reached",
    Handshake "handshakes of TLS",
    Resumption "handshakes that resumed a session",
    KeyUpdate "keys that clients of TLS changed",
    Spoilt "records with a flipped bit",
    Alert "connections that the server ended with an alert",
    CloseNotify "ends of output that the server announced",
    Truncation "ends of input without an announcement",
    NotTls "clients of another protocol at a listener with TLS",
    News "messages that members of rooms received",
    Gap "gaps that were announced to members of rooms",
    RoomFull "joins refused because of the members of a room",
    TooManyRooms "joins refused because of the number of rooms",
    BusConnected "connections to the broker of a bus",
    Published "messages that the broker of a bus has read",
    Received "messages from other servers that rooms have taken",
    Dropped "messages that the broker was not sent",
    StaleReuse "reuses of the keys of closed connections",
}

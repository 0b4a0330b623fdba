//! What the server was seen to do: a world in which none of it happens shows nothing.

macro_rules! sights {
    ($($name:ident $said:literal,)*) => {
        /// One thing that the server may be seen to do.
        #[derive(Clone, Copy, Debug)]
        pub enum Sight { $($name,)* }

        /// Each of them, as a report calls it.
        pub const SIGHTS: [&str; [$($said),*].len()] = [$($said,)*];
    };
}

sights! {
    Yield "turns that were too short, and went on in the next round",
    Pause "rounds that ended with a connection paused",
    Piece "pieces taken for messages",
    Refusal "messages given up for want of memory",
    LingerBound "rounds that ended with more behind the end of a connection than is dropped",
    Wait "waits for a deadline or an event",
    StaleReuse "places of closed connections taken by others",
}

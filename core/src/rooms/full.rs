//! Rooms and members beyond the limits: each refusal is counted, and at most one per second and
//! limit is logged.

use super::Refusal;
use crate::limits::Limits;
use crate::logging::throttle::Throttle;
use crate::os::moment::Moment;
use crate::status::RoomStatus;

/// The warnings that a limit is reached.
#[derive(Debug, Default)]
pub(super) struct FullWarnings {
    rooms: Throttle,
    members: Throttle,
}

impl FullWarnings {
    /// Notes that a client could not join `room`. It costs nothing for other refusals.
    #[cold]
    pub fn note(
        &mut self,
        refusal: Refusal,
        room: &str,
        limits: &Limits,
        now: Moment,
        status: &mut RoomStatus,
    ) {
        match refusal {
            Refusal::TooManyRooms => {
                status.rooms_refused += 1;
                if self.rooms.allows(now) {
                    log::warn!(
                        event = "rooms_limit", limit = limits.rooms_max;
                        "refusing new rooms: the limit of {} is reached; raise --rooms-max",
                        limits.rooms_max
                    );
                }
            }
            Refusal::RoomFull => {
                status.members_refused += 1;
                if self.members.allows(now) {
                    log::warn!(
                        event = "room_members_limit", room, limit = limits.room_members_max;
                        "refusing members of the room {room}: its limit of {} is reached; \
                         raise --room-members-max",
                        limits.room_members_max
                    );
                }
            }
            _ => {}
        }
    }
}

//! The checks of the news that members of rooms receive, and of the joins that are refused.

use tinytcp_core::limits::LOW_WATER_BYTES;
use tinytcp_core::status::RoomStatus;

use super::coverage::Behaviour;
use super::invariant::Invariant;
use super::network::Network;
use super::oracle::news::News;
use super::oracle::rooms::Refused;

impl Network {
    /// Runs the commands about rooms that a session has run.
    pub fn run_room_commands(&mut self, id: usize) {
        let Self { links, rooms, .. } = self;
        let account = &mut links[id].account;
        if let Some(token) = account.token {
            let input_len = account.consumed_len;
            account.oracle.run_commands(input_len, id, token.number(), rooms);
        }
    }

    /// Checks the output of a session after a call without input, which can only have appended
    /// news. News stay below the low-water mark, so that the member's own commands still run.
    pub fn check_news(&mut self, id: usize, before: usize, after: usize) {
        if after > before.max(LOW_WATER_BYTES) && self.rooms.has(id) {
            let what = format!("{after} bytes wait after news was appended");
            self.fail(Invariant::RoomsAgree, Some(id), what);
        }
    }

    /// Checks the counters of refused joins.
    pub fn check_refused(&mut self, counted: &RoomStatus) {
        let Refused { rooms, members } = self.rooms.refused;
        self.behaviours[Behaviour::TooManyRooms as usize] += rooms;
        self.behaviours[Behaviour::RoomFull as usize] += members;
        let counted = Refused { rooms: counted.rooms_refused, members: counted.members_refused };
        if counted != self.rooms.refused {
            let what = format!("counted {counted:?}; expected {:?}", self.rooms.refused);
            self.fail(Invariant::RoomsAgree, None, what);
        }
    }

    /// Counts news that a member received.
    pub fn cover_news(&mut self, news: &News) {
        self.cover(match news {
            News::Message(..) => Behaviour::News,
            News::Gap(_) => Behaviour::Gap,
        });
    }
}

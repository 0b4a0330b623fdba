//! The commands about rooms. `text` and `binary` share them: each appends the part of the answer
//! that is the same in both.

use std::io::Write;

use super::command::{Call, Outcome};
use super::{Next, errors};

/// `JOIN`: the name of the room.
pub(super) fn join(call: &mut Call<'_, '_>) -> Outcome {
    let room = argument(call)?;
    call.context().join(room)?;
    call.output().append(room);
    Ok(Next::Continue)
}

/// `LEAVE`: the name of the room that was left.
pub(super) fn leave(call: &mut Call<'_, '_>) -> Outcome {
    let room = call.context().leave()?;
    call.output().append(room.as_bytes());
    Ok(Next::Continue)
}

/// `SAY`: the number of members of this server that it reaches.
pub(super) fn say(call: &mut Call<'_, '_>) -> Outcome {
    let text = argument(call)?;
    let count = call.context().say(text)?;
    // Writing to an output never fails.
    let _ = write!(call.output(), "{count}");
    Ok(Next::Continue)
}

/// `NICK`: the name of the connection, which an argument replaces.
pub(super) fn nick(call: &mut Call<'_, '_>) -> Outcome {
    if let Ok(name) = argument(call) {
        call.context().rename(name)?;
    }
    call.context().append_own_name();
    Ok(Next::Continue)
}

/// `WHO`: the number of members, and their names.
pub(super) fn who(call: &mut Call<'_, '_>) -> Outcome {
    let count = call.context().member_count()?;
    call.context().reserve_for_names()?;
    // Writing to an output never fails.
    let _ = write!(call.output(), "{count} ");
    call.context().append_member_names(" ");
    Ok(Next::Continue)
}

fn argument<'a>(call: &Call<'a, '_>) -> Result<&'a [u8], &'static str> {
    if call.argument().is_empty() { Err(errors::BAD_ARGUMENTS) } else { Ok(call.argument()) }
}

//! The acts of clients of TLS.

use std::time::Duration;

use super::super::client::Act;
use super::super::coverage::Behaviour;
use super::super::network::Network;

impl Network {
    /// True if a client has made bytes that it has not sent.
    pub fn has_records_to_send(&self, id: usize) -> bool {
        self.links[id].client.tls.as_ref().is_some_and(|engine| !engine.outgoing().is_empty())
    }

    /// Sends a piece of what a client has made, sometimes cut at or near the border of a record.
    /// Returns false if the network takes nothing.
    pub fn send_records(&mut self, id: usize) -> bool {
        let piece_len = self.links[id].client.piece_len();
        let near = self.choices.chance(300).then(|| self.choices.below(7));
        let Self { links, choices, .. } = self;
        let link = &mut links[id];
        let Some(engine) = &mut link.client.tls else { return false };
        if std::mem::take(&mut engine.spoils_next) && engine.spoil(choices) {
            self.cover(Behaviour::Spoilt);
            return true;
        }
        let border = near.map_or(usize::MAX, |near| (engine.record_len() + near).saturating_sub(3));
        let silent_in = engine.silent_at.map_or(u64::MAX, |at| at.saturating_sub(engine.sent()));
        let len = engine.outgoing().len().min(piece_len).min(border.max(1));
        let len = len.min(usize::try_from(silent_in).unwrap_or(usize::MAX));
        let piece = engine.outgoing()[..len].to_vec();
        let count = link.channel.push(&piece);
        engine.note_sent(count);
        if silent_in == count as u64 {
            engine.fall_silent();
            link.client.fall_silent(choices);
        }
        self.note(id, "peer sends", (count, piece.len()), &piece[..count]);
        count > 0
    }

    /// Does an act of a client of TLS. Returns the time before the next act, `None` while the
    /// client waits for the server, or the act if it has nothing to do with TLS.
    pub fn perform_encrypted(
        &mut self,
        id: usize,
        act: Act,
        thinking: Duration,
    ) -> Result<Option<Duration>, Act> {
        let client = &mut self.links[id].client;
        let piece_len = client.piece_len();
        let Some(engine) = &mut client.tls else { return Err(act) };
        let waits = engine.is_handshaking() && !engine.has_failed();
        match act {
            Act::Send(_) | Act::SayGoodbye | Act::UpdateKeys | Act::AwaitAnswers
                if engine.has_failed() => {}
            Act::Send(mut bytes) => {
                let rest = bytes.split_off(bytes.len().min(piece_len));
                engine.write(&bytes);
                if !rest.is_empty() {
                    client.do_next(Act::Send(rest));
                }
            }
            Act::SendGarbage(bytes) => engine.write_raw(&bytes),
            Act::ShakeHands => engine.begin(),
            Act::Spoil => engine.spoils_next = true,
            Act::FallSilentAt(place) => engine.silent_at = Some(place),
            Act::SayGoodbye | Act::UpdateKeys if waits => {
                client.do_next(act);
                return Ok(None);
            }
            Act::SayGoodbye => engine.say_goodbye(),
            Act::UpdateKeys => {
                if engine.update_keys() {
                    self.cover(Behaviour::KeyUpdate);
                }
            }
            act => return Err(act),
        }
        Ok(Some(thinking))
    }
}

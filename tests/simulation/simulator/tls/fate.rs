//! The acts of TLS clients in addition to their messages: valid and invalid steps of the protocol.

use super::super::choices::Choices;
use super::super::client::Act;
use super::Engine;

/// The beginning of a connection to an encrypted listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// A handshake, which is completed if nothing else happens.
    Honest,
    /// Another protocol.
    Plain,
    /// Bytes that look like a handshake and are none.
    Garbled,
}

impl Engine {
    /// Changes the acts of a client, so that it speaks TLS or fails to.
    pub fn disguise(&mut self, acts: Vec<Act>, choices: &mut Choices) -> Vec<Act> {
        let kind = choices.below(24);
        self.fate = match kind {
            22 => Fate::Plain,
            23 => Fate::Garbled,
            _ => Fate::Honest,
        };
        match self.fate {
            Fate::Plain => return raw(plain(choices), choices),
            Fate::Garbled => return raw(garbled(choices), choices),
            Fate::Honest => {}
        }
        let mut disguised = vec![Act::ShakeHands];
        for act in acts {
            if choices.chance(50) {
                disguised.push(Act::UpdateKeys);
            }
            match act {
                Act::HalfClose => disguised.extend(end_of_output(choices)),
                Act::Close if choices.chance(700) => disguised.extend([Act::SayGoodbye, act]),
                act => disguised.push(act),
            }
        }
        match kind {
            // In the middle of its hello, or of its second flight.
            19 => disguised.insert(0, Act::FallSilentAt(choices.below(400) as u64)),
            20 | 21 => disguised.insert(choices.below(disguised.len()), Act::Spoil),
            _ => {}
        }
        disguised
    }
}

/// The end of the output, announced or not.
fn end_of_output(choices: &mut Choices) -> Vec<Act> {
    match choices.below(10) {
        8 => vec![Act::SayGoodbye],
        9 => vec![Act::HalfClose],
        _ => vec![Act::SayGoodbye, Act::HalfClose],
    }
}

/// Sends `bytes` and perhaps an end, and waits.
fn raw(bytes: Vec<u8>, choices: &mut Choices) -> Vec<Act> {
    let mut acts = vec![Act::SendGarbage(bytes)];
    if choices.chance(300) {
        acts.push(Act::HalfClose);
    }
    acts.push(Act::AwaitEnd);
    acts
}

/// Returns the beginning of another protocol.
fn plain(choices: &mut Choices) -> Vec<u8> {
    let speeches: [&[u8]; 6] = [
        b"TIME\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"\x01\0\0\0\x05hello",
        b"\n",
        b"SSH-2.0-OpenSSH_9.6\r\n",
        // A hello of SSL 2.0.
        b"\x80\x2e\x01\x03\x01\0\x15\0\0\0\x10",
    ];
    choices.pick(&speeches).to_vec()
}

/// Returns bytes that begin as a handshake does. Some of them are incomplete.
fn garbled(choices: &mut Choices) -> Vec<u8> {
    let rest = choices.len(70_000);
    let mut bytes = match choices.below(5) {
        // The first record has no hello in it.
        0 => b"\x16\x03\x01\0\x05hello".to_vec(),
        // A record that is too long.
        1 => b"\x16\x03\x01\xff\xff\x01".to_vec(),
        // A hello that is too long.
        2 => b"\x16\x03\x01\x40\0\x01\xff\xff\xff\x03\x03".to_vec(),
        // No version of TLS.
        3 => b"\x16\x07\x07\0\x05hello".to_vec(),
        _ => b"\x16".to_vec(),
    };
    bytes.extend(std::iter::repeat_n(b'x', rest));
    bytes
}

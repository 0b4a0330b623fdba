//! What the server does with the records of its clients, and the checks of it.

use tinytcp_core::connection::Phase;
use tinytcp_core::connection::inspection::Inspection as State;

use super::super::coverage::Behaviour;
use super::super::invariant::Invariant;
use super::super::network::Network;
use super::super::oracle::Unasked;
use super::Fate;

impl Network {
    /// True if a connection is to one of the encrypted listeners.
    pub fn is_encrypted(&self, id: usize) -> bool {
        self.links[id].client.tls.is_some()
    }

    /// True if a client of an encrypted listener has begun with another protocol, or with a hello
    /// whose first byte is wrong.
    pub fn is_plain_at_tls(&self, id: usize) -> bool {
        let is_wrong = self.links[id].account.has_read_wrong;
        let engine = self.links[id].client.tls.as_ref();
        engine.is_some_and(|engine| engine.fate == Fate::Plain || is_wrong)
    }

    /// Notes bytes that the server has read: those of a client in clear are for its session, and
    /// records for the layer.
    pub fn note_own_bytes(&mut self, id: usize, bytes: &[u8]) {
        let (now, link) = (self.now, &mut self.links[id]);
        match &mut link.client.tls {
            Some(engine) => {
                let has_ended_one = engine.note_reached(bytes.len());
                // A wrong length can make a record longer: to the server it is incomplete, and no
                // record ends after it.
                let was_wrong = link.account.has_read_wrong;
                let is_wrong = !engine.is_clean();
                let is_incomplete = engine.is_within_record() || is_wrong;
                link.account.note_records(is_incomplete, has_ended_one && !was_wrong, now);
                link.account.has_read_wrong = is_wrong;
                link.account.has_said_goodbye = engine.has_said_goodbye();
            }
            None if link.account.is_session_over => {}
            None => {
                link.account.stream.extend_from_slice(bytes);
                link.account.oracle.receive(bytes, now);
            }
        }
    }

    /// Notes the input of a session: over TLS it may have more bytes than the session has got
    /// before, and they must be those that the client has written.
    pub fn give_input(&mut self, id: usize, input: &[u8]) {
        let now = self.now;
        let link = &mut self.links[id];
        let Some(engine) = &mut link.client.tls else { return };
        let Some(new) = input.strip_prefix(link.account.stream.as_slice()) else { return };
        let is_own = engine.give(new);
        link.account.stream.extend_from_slice(new);
        if !new.is_empty() {
            link.account.oracle.receive(new, now);
        }
        if !is_own {
            let what = "a session gets bytes that its client has not sent in whole records";
            self.fail(Invariant::OwnBytesOnly, Some(id), what);
        }
    }

    /// Returns the plaintext for the client in bytes that the server has sent, and checks that they
    /// are valid records.
    pub fn hear(&mut self, id: usize, bytes: &[u8]) -> Vec<u8> {
        let link = &mut self.links[id];
        let Some(engine) = &mut link.client.tls else { return bytes.to_vec() };
        if link.account.unasked == Some(Unasked::NoTls) {
            return bytes.to_vec();
        }
        let (was_handshaking, was_done) = (engine.is_handshaking(), engine.is_server_done());
        let heard = engine.hear(bytes);
        let is_complete = was_handshaking && !engine.is_handshaking();
        let (is_resumed, is_done) = (engine.is_resumed, engine.is_server_done());
        let may_fail = !engine.is_honest() || link.account.unasked.is_some();
        if is_complete {
            self.cover(Behaviour::Handshake);
        }
        if is_complete && is_resumed {
            self.cover(Behaviour::Resumption);
        }
        if is_done && !was_done {
            self.cover(Behaviour::CloseNotify);
        }
        match heard {
            Ok(plaintext) => plaintext,
            Err(what) => {
                self.cover(Behaviour::Alert);
                if !may_fail {
                    self.fail(Invariant::RecordsMeanAnswers, Some(id), what);
                }
                Vec::new()
            }
        }
    }

    /// A connection has a session exactly when its handshake is complete. Also takes over what only
    /// the server knows: whether backpressure holds.
    pub fn check_handshake(&mut self, id: usize, state: &State) {
        let now = self.now;
        let link = &mut self.links[id];
        let account = &mut link.account;
        let not_given = link.client.tls.as_ref().map_or(0, |engine| engine.not_given());
        account.has_unopened = state.input_len < account.stream.len() + not_given;
        let has_resumed = account.is_paused && !state.is_paused;
        account.is_paused = state.is_paused;
        account.is_shaking_hands = state.phase == Phase::Opening;
        if has_resumed {
            account.resumed = now;
        }
        // A wrong record ends the session, and no call shows it while the alert waits.
        account.is_session_over |= account.has_read_wrong
            && matches!(state.phase, Phase::Flushing(_) | Phase::Lingering(_));
        if (state.phase == Phase::Opening) == account.has_session
            && matches!(state.phase, Phase::Opening | Phase::Open)
        {
            let what = format!("it is in {:?}", state.phase);
            self.fail(Invariant::PeerKnown, Some(id), what);
        }
    }

    /// An end of input that no record announces is no end of a message.
    pub fn check_piece(&mut self, id: usize) {
        let account = &self.links[id].account;
        let is_cut = account.end_was_read && !account.has_said_goodbye;
        if self.is_encrypted(id) && is_cut && self.is_listening {
            let what = "a piece is run though its end was not announced";
            self.fail(Invariant::AtMostOnce, Some(id), what);
        }
    }

    /// The output of an encrypted session ends with the announcement of its end, if it is not cut:
    /// the client has kept to the rules, and has read it in time.
    pub fn check_goodbye(&mut self, id: usize) {
        let link = &self.links[id];
        let Some(engine) = &link.client.tls else { return };
        let is_broken = link.account.has_failed
            || link.account.has_output()
            || link.account.resets_on_close
            || link.channel.is_reset()
            || !engine.is_clean()
            || engine.has_failed();
        let is_in_clear = link.account.unasked == Some(Unasked::NoTls);
        let has_session = link.account.has_session && !is_in_clear;
        if link.account.end_was_read && !link.account.has_said_goodbye {
            self.cover(Behaviour::Truncation);
        }
        let drain = self.settings().timeouts.drain;
        // When its time is over, or with a second request, a shutdown cuts what is left.
        let is_late = self.stopped_at.is_some_and(|at| self.now >= at.deadline(drain));
        let is_cut = is_late || self.is_stopped_twice;
        let is_whole = !is_broken && !is_cut;
        if has_session && is_whole && !self.links[id].client.is_server_done() {
            let what = "its output ends without an announcement";
            self.fail(Invariant::EndsAnnounced, Some(id), what);
        }
    }

    /// True if the server may close a connection that has no session yet: its handshake is wrong,
    /// or over.
    pub fn may_fail_handshake(&self, id: usize) -> bool {
        let link = &self.links[id];
        let Some(engine) = &link.client.tls else { return false };
        !link.account.has_session
            && (!engine.is_clean()
                || engine.has_failed()
                || link.account.has_input_ended()
                || !self.is_listening
                || self.latest_deadline(id) <= self.now)
    }

    /// True if records wait in the layer although their session could have them.
    pub fn sleeps_on_records(&self, id: usize) -> bool {
        let link = &self.links[id];
        link.account.has_unopened
            && link.account.has_session
            && !link.account.is_paused
            && !link.account.is_session_over
    }
}

//! The measurements of TLS: the handshakes of a run, with their versions and cipher suites.

use super::latency::Latency;

/// The counts of encrypted connections; all of them are zero in a run without TLS.
#[derive(Clone, Debug, Default)]
pub struct TlsCounts {
    /// Completed handshakes, those of the warm-up included.
    pub all: Handshakes,
    /// Completed handshakes in the measurement window: the basis of rates.
    pub inside: Handshakes,
    /// Time from the open connection of the kernel to the end of the handshake.
    pub handshake: Latency,
    /// The versions and cipher suites of the handshakes, with their number.
    pub suites: Vec<(TlsSuite, u64)>,
    /// The text of the first failure.
    pub failure: Option<String>,
}

/// A number of completed handshakes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Handshakes {
    /// With a key exchange and a certificate.
    pub full: u64,
    /// Resumed by the ticket of an earlier connection.
    pub resumed: u64,
}

/// The version and the cipher suite of a handshake, as `TLSv1.3` and `TLS_AES_256_GCM_SHA384`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TlsSuite {
    /// The version of the protocol.
    pub version: &'static str,
    /// The cipher suite.
    pub cipher: &'static str,
}

impl Handshakes {
    /// Adds one handshake.
    pub const fn add(&mut self, is_resumed: bool) {
        if is_resumed { self.resumed += 1 } else { self.full += 1 }
    }

    /// Returns their sum.
    #[must_use]
    pub const fn total(self) -> u64 {
        self.full + self.resumed
    }

    const fn merge(&mut self, other: Self) {
        self.full += other.full;
        self.resumed += other.resumed;
    }
}

impl TlsCounts {
    /// Adds `number` handshakes that agreed on `suite`.
    pub fn add_suite(&mut self, suite: TlsSuite, number: u64) {
        match self.suites.iter_mut().find(|(known, _)| *known == suite) {
            Some((_, count)) => *count += number,
            None => self.suites.push((suite, number)),
        }
    }

    /// Adds the counts that exclude the warm-up.
    pub(super) const fn merge_inside(&mut self, other: &Self) {
        self.inside.merge(other.inside);
    }

    /// Adds the counts that include the warm-up.
    pub(super) fn merge_all(&mut self, other: &Self) {
        self.all.merge(other.all);
        self.handshake.merge(&other.handshake);
        other.suites.iter().for_each(|(suite, number)| self.add_suite(*suite, *number));
        self.failure = self.failure.take().or_else(|| other.failure.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measurement::counts::Counts;

    #[test]
    fn rates_exclude_the_handshakes_of_the_warm_up() {
        let suite = TlsSuite { version: "TLSv1.3", cipher: "TLS_AES_256_GCM_SHA384" };
        let mut part = Counts::default();
        [false, false, true].into_iter().for_each(|is_resumed| {
            part.tls.all.add(is_resumed);
            part.tls.inside.add(is_resumed);
            part.tls.add_suite(suite, 1);
        });
        let mut total = Counts::default();
        total.merge_failures(&part);
        total.merge(&part);
        assert_eq!(total.tls.all, Handshakes { full: 4, resumed: 2 });
        assert_eq!(total.tls.inside, Handshakes { full: 2, resumed: 1 });
        assert_eq!(total.tls.suites, [(suite, 6)]);
    }
}

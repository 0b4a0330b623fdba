//! Counts by cause in a file: `{"refused_count": 3, "timed_out_count": 0, ...}`.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, Visitor};
use serde::ser::{Serialize, Serializer};

use crate::measurement::causes::Cause;
use crate::measurement::counts::CauseCounts;

fn key(cause: impl Cause) -> String {
    format!("{}_count", cause.name())
}

impl<C: Cause> Serialize for CauseCounts<C> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter().map(|(cause, count)| (key(cause), count)))
    }
}

impl<'de, C: Cause> Deserialize<'de> for CauseCounts<C> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(CauseCountsVisitor(PhantomData))
    }
}

struct CauseCountsVisitor<C>(PhantomData<C>);

impl<'de, C: Cause> Visitor<'de> for CauseCountsVisitor<C> {
    type Value = CauseCounts<C>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a count for each cause")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<CauseCounts<C>, A::Error> {
        let mut missing: BTreeMap<String, C> =
            C::ALL.iter().map(|cause| (key(*cause), *cause)).collect();
        let mut counts = CauseCounts::default();
        while let Some(name) = map.next_key::<String>()? {
            match missing.remove(&name) {
                Some(cause) => counts.add(cause, map.next_value()?),
                None => map.next_value::<IgnoredAny>().map(drop)?,
            }
        }
        // Reports of versions without TLS have no such counts.
        match missing.into_keys().find(|name| !name.starts_with("tls_")) {
            Some(name) => Err(A::Error::custom(format!("missing field `{name}`"))),
            None => Ok(counts),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measurement::causes::ConnectionEnd;

    #[test]
    fn every_cause_is_written_with_its_unit_and_read_back() {
        let mut counts = CauseCounts::default();
        counts.add(ConnectionEnd::Silent, 3);
        let text = serde_json::to_string(&counts).expect("it has a form in JSON");
        assert_eq!(
            text,
            concat!(
                r#"{"closed_count":0,"idle_timeout_count":0,"message_timeout_count":0,"#,
                r#""shutdown_count":0,"reset_count":0,"silent_count":3,"late_count":0,"#,
                r#""unreadable_count":0,"tls_truncated_count":0,"tls_failed_count":0}"#
            )
        );
        let read: CauseCounts<ConnectionEnd> = serde_json::from_str(&text).expect("our own");
        assert_eq!((read.get(ConnectionEnd::Silent), read.total()), (3, 3));
    }

    #[test]
    fn a_cause_without_a_count_is_an_error() {
        let error = serde_json::from_str::<CauseCounts<ConnectionEnd>>(
            r#"{"closed_count":0,"idle_timeout_count":0}"#,
        );
        assert!(
            error.expect_err("some are missing").to_string().contains("missing field `late_count`")
        );
    }
}

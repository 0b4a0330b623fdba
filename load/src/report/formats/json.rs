//! The report as JSON. `docs/load-report.md` describes every key.

use serde_json::Value;

use crate::error::LoadError;
use crate::report::{Report, SCHEMA};

/// Largest integer that every JSON parser reads exactly (RFC 8259, section 6). Sums of such numbers
/// cannot overflow.
const EXACT_MAX: u64 = 1 << 53;

pub(in crate::report) fn text(report: &Report) -> String {
    // Every key is a string and every part is serialisable, so no error can occur.
    serde_json::to_string_pretty(report).unwrap_or_default() + "\n"
}

/// Parses a report that `--json` has written.
///
/// # Errors
/// Fails with one line if the bytes are not a report, have another schema, or are invalid.
pub(in crate::report) fn parse(bytes: &[u8]) -> Result<Report, LoadError> {
    const REPORT: &str = "a report is a file that --json has written";
    let value: Value = serde_json::from_slice(bytes)
        .map_err(|error| LoadError::Report(format!("not JSON ({error}); {REPORT}")))?;
    match value.get("schema").and_then(Value::as_str) {
        Some(SCHEMA) => {}
        Some(other) => {
            let text = format!("its schema is `{other}`; this version reads `{SCHEMA}` only");
            return Err(LoadError::Report(text));
        }
        None => return Err(LoadError::Report(format!("not a load report; {REPORT}"))),
    }
    if !counts_are_exact(&value) {
        return Err(LoadError::Report(format!("invalid: a number is above 2^53; {REPORT}")));
    }
    serde_json::from_value(value)
        .map_err(|error| LoadError::Report(format!("invalid: {error}; {REPORT}")))
}

fn counts_are_exact(value: &Value) -> bool {
    match value {
        Value::Number(number) => {
            number.as_f64().is_some_and(|number| number.abs() <= EXACT_MAX as f64)
        }
        Value::Array(values) => values.iter().all(counts_are_exact),
        Value::Object(members) => members.values().all(counts_are_exact),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::fixtures;
    use crate::judgement::search::{Search, SearchStep};
    use crate::measurement::settings::TlsChoices;
    use crate::measurement::tls::TlsSuite;

    const PAGE: &str = include_str!("../../../../docs/load-report.md");

    /// A report without empty lists or missing parts.
    fn full() -> Report {
        let gates = ["p99>1us", "errors>0"].map(|gate| gate.parse().expect(gate));
        let outcome = fixtures::open().total(|total| total.starved = total.cpu).done();
        let mut report = Report::new(&outcome, &gates);
        assert!(!report.further_verdicts.is_empty());
        report.notes.push("A note.".into());
        report.exchanges.push(crate::measurement::exchange::Exchange::unrequested(b"A reply."));
        report.addresses.push(crate::report::ReportAddress {
            address: "127.0.0.1:40000".into(),
            opened_count: 1,
            failed_count: 0,
            correct_count: 1,
            errors_count: 0,
            latency: report.latency.from_send.clone(),
        });
        let outcome = fixtures::closed()
            .settings(|settings| {
                settings.tls = Some(TlsChoices { is_verified: true, resumes: true });
            })
            .total(|total| {
                let suite = TlsSuite { version: "TLSv1.3", cipher: "TLS_AES_256_GCM_SHA384" };
                total.tls.add_suite(suite, 10);
                total.tls.failure = Some("a fact; a remedy".into());
            });
        report.tls = Report::new(&outcome.done(), &[]).tls;
        report.latency.tls_handshake = Some(report.latency.connect.clone());
        report.slices.iter_mut().for_each(|slice| {
            slice.tls_handshake = Some(slice.latency.clone());
        });
        let step = SearchStep {
            asked_per_s: 1.0,
            reached_per_s: 1.0,
            p50_us: None,
            p99_us: None,
            p99_9_us: None,
            held: true,
            broken_by: None,
            generator_limited: false,
        };
        report.with_search(Search {
            objective: "p99=1ms".into(),
            highest_held_per_s: Some(1.0),
            conclusion: "1.00/s is the highest rate that met p99=1ms.".into(),
            steps: vec![step],
        })
    }

    fn value() -> Value {
        serde_json::from_str(&text(&full())).expect("it is JSON")
    }

    /// Collects the keys of `value` that hold no object: `asked.pace.kind`, `notes[]`,
    /// `latency.connect`, `(distribution).p50_us`.
    fn keys(path: &str, value: &Value, found: &mut BTreeSet<String>) {
        match value {
            Value::Object(members) => {
                let is_distribution = members.contains_key("hdr_v2_deflate_base64");
                if is_distribution {
                    found.insert(path.into());
                }
                for (key, member) in members {
                    match path {
                        _ if is_distribution => {
                            keys(&format!("(distribution).{key}"), member, found)
                        }
                        "" => keys(key, member, found),
                        _ => keys(&format!("{path}.{key}"), member, found),
                    }
                }
            }
            Value::Array(values) => {
                values.iter().for_each(|value| keys(&format!("{path}[]"), value, found))
            }
            _ => drop(found.insert(path.into())),
        }
    }

    /// Returns the first code span of each row of the page's tables whose heading starts with
    /// `head`.
    fn rows(head: &str) -> Vec<&'static str> {
        let tables = PAGE.split("\n\n").filter(|paragraph| paragraph.starts_with(head));
        tables
            .flat_map(|table| {
                table.lines().filter_map(|row| Some(row.strip_prefix("| `")?.split_once('`')?.0))
            })
            .collect()
    }

    #[test]
    fn the_page_describes_every_key_and_no_other() {
        let mut written = BTreeSet::new();
        keys("", &value(), &mut written);
        let described: BTreeSet<String> = rows("| key").into_iter().map(str::to_owned).collect();
        assert_eq!(described, written);
    }

    #[test]
    fn the_page_describes_every_verdict_in_their_order() {
        use crate::judgement::verdict::VerdictKind;
        let kind = |name| serde_json::from_value(Value::from(name)).expect("a kind");
        let described: Vec<VerdictKind> = rows("| kind").into_iter().map(kind).collect();
        assert!(described.is_sorted_by(|a, b| a < b), "{described:?}");
        assert_eq!(described.len(), VerdictKind::Valid as usize + 1);
    }

    #[test]
    fn every_number_has_its_unit_in_its_key() {
        const UNITS: [&str; 8] =
            ["_s", "_us", "_bytes", "_count", "_number", "ratio", "count", "interrupted_by_signal"];
        fn check(key: &str, value: &Value) {
            match value {
                Value::Number(_) => assert!(UNITS.iter().any(|unit| key.ends_with(unit)), "{key}"),
                Value::Array(values) => values.iter().for_each(|value| check(key, value)),
                Value::Object(members) => members.iter().for_each(|(key, value)| check(key, value)),
                _ => {}
            }
        }
        check("", &value());
    }

    #[test]
    fn a_written_report_is_read_back_completely() {
        // A histogram that was resized differently is encoded differently; the other values are
        // computed from it.
        let lines = |text: &str| -> Vec<String> {
            text.lines()
                .filter(|line| !line.contains("hdr_v2_deflate_base64"))
                .map(str::to_owned)
                .collect()
        };
        let written = text(&full());
        let read = parse(written.as_bytes()).expect("our own");
        assert_eq!(lines(&text(&read)), lines(&written));
    }

    #[test]
    fn another_schema_is_refused_by_name() {
        let error = parse(text(&full()).replace("tinytcp-load/2", "tinytcp-load/1").as_bytes())
            .expect_err("not ours")
            .to_string();
        assert!(
            error.contains("`tinytcp-load/2`") && error.contains("`tinytcp-load/1`"),
            "{error}"
        );
    }

    #[test]
    fn an_invalid_file_is_one_line() {
        let good = text(&full());
        for (broken, what) in [
            (String::new(), "not JSON"),
            (good[..good.len() / 2].to_owned(), "not JSON"),
            ("{}".to_owned(), "not a load report"),
            ("[1]".to_owned(), "not a load report"),
            (good.replace("\"ran_s\"", "\"ran_m\""), "missing field `ran_s`"),
            (good.replace("\"late_count\"", "\"later_count\""), "missing field `late_count`"),
            (good.replace("\"sent_count\": 100000", "\"sent_count\": -1"), "invalid"),
            (
                good.replace("\"sent_count\": 100000", "\"sent_count\": 18446744073709551615"),
                "2^53",
            ),
        ] {
            assert_ne!(broken, good);
            let error = parse(broken.as_bytes()).expect_err(what).to_string();
            assert!(error.contains(what) && !error.contains('\n'), "{what}: {error}");
        }
    }

    /// Prints and merges a report in every way.
    fn show(report: Report) {
        let mut other = report.clone();
        other.generator.cpu_s += 1.0;
        for report in [crate::report::merge::merge(vec![report.clone(), other], &[]), Ok(report)]
            .into_iter()
            .flatten()
        {
            let _ = crate::report::terminal::text(&report, true, 80);
            let _ = crate::report::page::text(&report);
            let _ = crate::report::formats::csv::text(&report);
            let _ = crate::report::formats::hgrm::text(&report);
            let _ = text(&report);
            let _ = report.exit_code();
        }
    }

    #[test]
    fn no_number_in_a_file_causes_a_panic() {
        let mut small = full();
        small.slices.truncate(2);
        let text = text(&small);
        // A histogram is checked against its count, and the other values are not read.
        let is_number =
            |line: &str| line.trim_end_matches(',').ends_with(|c: char| c.is_ascii_digit());
        let is_fraction = |key: &str| ["_s\"", "ratio\""].iter().any(|unit| key.ends_with(unit));
        let mut read = 0;
        for hostile in ["0", "1", "9007199254740992", "-1", "1e-300", "-1e15"] {
            for part in 0..4 {
                let line = |(index, line): (usize, &str)| match line.split_once(": ") {
                    Some((key, _))
                        if is_number(line) && index % 4 == part && !key.ends_with("\"count\"") =>
                    {
                        let fits =
                            is_fraction(key) || hostile.bytes().all(|byte| byte.is_ascii_digit());
                        let comma = if line.ends_with(',') { "," } else { "" };
                        if fits {
                            format!("{key}: {hostile}{comma}\n")
                        } else {
                            format!("{line}\n")
                        }
                    }
                    _ => format!("{line}\n"),
                };
                let broken: String = text.lines().enumerate().map(line).collect();
                if let Ok(report) = parse(broken.as_bytes()) {
                    read += 1;
                    show(report);
                }
            }
        }
        assert!(read > 15, "only {read} of them could be read");
    }
}

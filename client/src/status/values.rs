//! The values of a status, and their two forms: a table and JSON.

use std::fmt::Write;
use std::time::Instant;

use tinytcp_core::display::escape::shown;

/// The keys whose values are words. All others are numbers.
const WORDS: [&str; 3] = ["version", "state", "obstacle"];

/// The keys and values of a status, in the order of the server.
#[derive(Debug, PartialEq, Eq)]
pub struct Values(Vec<(String, String)>);

impl Values {
    /// Parses `STATUS key=value ...`. Returns `None` for any other answer.
    pub fn parse(answer: &[u8]) -> Option<Self> {
        let pairs = std::str::from_utf8(answer).ok()?.strip_prefix("STATUS ")?;
        let pair = |pair: &str| {
            let (key, value) = pair.split_once('=')?;
            let is_sound = !key.is_empty() && !value.is_empty();
            // The values must not control the terminal.
            is_sound
                .then(|| (shown(key.as_bytes()).to_string(), shown(value.as_bytes()).to_string()))
        };
        pairs.split(' ').map(pair).collect::<Option<Vec<_>>>().map(Self)
    }

    /// Returns a line for each value, without the reasons for which no connection was closed. After
    /// a `last` status, counters have their change per second as well.
    pub fn table(&self, last: Option<&(Self, Instant)>) -> String {
        let shown = self.0.iter().filter(|(key, value)| !key.contains('.') || value != "0");
        let width = shown.clone().map(|(key, _)| key.len()).max().unwrap_or_default();
        let mut table = String::new();
        for (key, value) in shown {
            let rate = last.and_then(|(last, at)| self.rate(key, last, at.elapsed().as_secs_f64()));
            let rate = rate.map(|rate| format!("  {rate:+.0}/s")).unwrap_or_default();
            // Writing to a string never fails.
            let _ = writeln!(table, "{key:width$}  {value}{rate}");
        }
        table
    }

    /// Returns the values as one JSON object in one line.
    pub fn json(&self) -> String {
        let pairs = self.0.iter().map(|(key, value)| {
            let number = if WORDS.contains(&key.as_str()) { None } else { number(value) };
            format!("{}:{}", quoted(key), number.unwrap_or_else(|| quoted(value)))
        });
        format!("{{{}}}\n", pairs.collect::<Vec<_>>().join(","))
    }

    fn value(&self, key: &str) -> Option<&str> {
        self.0.iter().find(|(found, _)| found == key).map(|(_, value)| value.as_str())
    }

    /// Returns the change per second of a counter; `None` for other values.
    fn rate(&self, key: &str, last: &Self, seconds: f64) -> Option<f64> {
        let number = |values: &Self| values.value(key)?.parse::<f64>().ok();
        let is_counter = key.split('.').next().unwrap_or_default().ends_with("_total");
        let change = number(self)? - number(last)?;
        (is_counter && seconds > 0.0 && change != 0.0).then(|| change / seconds)
    }
}

/// Returns the number that `value` is, as JSON; `None` if it is none.
fn number(value: &str) -> Option<String> {
    if let Ok(number) = value.parse::<u64>() {
        return Some(number.to_string());
    }
    let number = value.parse::<f64>().ok().filter(|number| number.is_finite())?;
    Some(format!("{number:?}"))
}

/// Returns a text as a JSON string. It has no control characters.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn values(answer: &str) -> Values {
        Values::parse(answer.as_bytes()).expect("a status")
    }

    #[test]
    fn an_answer_of_another_form_is_no_status() {
        for answer in ["STATUS", "STATUS ", "STATUS a", "STATUS a=1 b", "STATUS =1", "ECHO a=1"] {
            assert_eq!(Values::parse(answer.as_bytes()), None, "{answer}");
        }
        assert_eq!(Values::parse(b"STATUS a=\xff"), None);
    }

    #[test]
    fn the_table_omits_reasons_that_did_not_occur() {
        let values = values("STATUS state=serving a_total=0 a_total.reset=0 a_total.quit=2");
        assert_eq!(values.table(None), "state         serving\na_total       0\na_total.quit  2\n");
    }

    #[test]
    fn a_counter_has_its_change_per_second() {
        let before = (values("STATUS a=1 a_total=1 b_total=7"), Instant::now());
        let later = values("STATUS a=9 a_total=1001 b_total=7");
        let table = |seconds| later.rate("a_total", &before.0, seconds);
        assert_eq!((table(2.0), later.rate("b_total", &before.0, 2.0)), (Some(500.0), None));
        assert_eq!(later.rate("a", &before.0, 2.0), None);
        let past = before.1.checked_sub(Duration::from_secs(2)).unwrap_or(before.1);
        assert!(later.table(Some(&(before.0, past))).contains("\na_total  1001  +"));
    }

    #[test]
    fn the_json_is_valid_whatever_a_server_sends() {
        let values = values(r#"STATUS version=1.0 a=007 b=1.50 c=inf d="\ e=-1 f=12"#);
        assert_eq!(
            values.json(),
            concat!(
                r#"{"version":"1.0","a":7,"b":1.5,"c":"inf","d":"\"\\","e":-1.0,"f":12}"#,
                "\n"
            )
        );
    }

    #[test]
    fn control_characters_of_a_server_are_escaped() {
        assert_eq!(values("STATUS a=\x1b[2J").table(None), "a  \\x1b[2J\n");
    }
}

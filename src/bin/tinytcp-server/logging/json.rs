//! A log record as one object of JSON (RFC 8259), without line breaks.

use std::fmt::{self, Display, Formatter, Write};

use log::Record;
use log::kv::{Error, Key, Value, VisitSource, VisitValue};
use tinytcp_core::display::escape::is_printable;
use tinytcp_core::logging::activity::{AGE_KEY, EVENT_KEY};

/// The event of a record that has no name: a line of a dependency.
const UNNAMED: &str = "log";

/// Writes `record`: the time, the level, the name of the event, the message, and then the fields
/// in their order and with their types.
pub fn write(f: &mut Formatter<'_>, time: &impl Display, record: &Record<'_>) -> fmt::Result {
    let event = record.key_values().get(Key::from_str(EVENT_KEY));
    let event = event.as_ref().and_then(Value::to_borrowed_str).unwrap_or(UNNAMED);
    write!(
        f,
        r#"{{"time":"{time}","level":"{}","event":{},"message":{}"#,
        record.level(),
        Text(event),
        Text(record.args())
    )?;
    record.key_values().visit(&mut Fields(f)).map_err(|_| fmt::Error)?;
    f.write_char('}')
}

/// Writes the fields of an object, each after a comma.
struct Fields<'a, 'f>(&'a mut Formatter<'f>);

impl<'v> VisitSource<'v> for Fields<'_, '_> {
    fn visit_pair(&mut self, key: Key<'v>, value: Value<'v>) -> Result<(), Error> {
        if [EVENT_KEY, AGE_KEY].contains(&key.as_str()) {
            return Ok(());
        }
        write!(self.0, ",{}:", Text(key.as_str()))?;
        value.visit(self)
    }
}

impl<'v> VisitValue<'v> for Fields<'_, '_> {
    fn visit_any(&mut self, value: Value<'_>) -> Result<(), Error> {
        Ok(write!(self.0, "{}", Text(value))?)
    }

    fn visit_null(&mut self) -> Result<(), Error> {
        Ok(self.0.write_str("null")?)
    }

    fn visit_bool(&mut self, value: bool) -> Result<(), Error> {
        Ok(write!(self.0, "{value}")?)
    }

    fn visit_u64(&mut self, value: u64) -> Result<(), Error> {
        Ok(write!(self.0, "{value}")?)
    }

    fn visit_i64(&mut self, value: i64) -> Result<(), Error> {
        Ok(write!(self.0, "{value}")?)
    }

    /// JSON has no number for an infinity or for what is not a number.
    fn visit_f64(&mut self, value: f64) -> Result<(), Error> {
        if value.is_finite() { Ok(write!(self.0, "{value:?}")?) } else { self.visit_null() }
    }
}

/// Displays a text as a JSON string. Characters that are not printable are escaped, also those that
/// JSON would allow: a terminal may show the line.
struct Text<T>(T);

impl<T: Display> Display for Text<T> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_char('"')?;
        write!(Escaper(f), "{}", self.0)?;
        f.write_char('"')
    }
}

struct Escaper<'a, 'f>(&'a mut Formatter<'f>);

impl Write for Escaper<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        text.chars().try_for_each(|c| match c {
            '"' | '\\' => write!(self.0, "\\{c}"),
            _ if is_printable(c) => self.0.write_char(c),
            _ => c
                .encode_utf16(&mut [0; 2])
                .iter()
                .try_for_each(|unit| write!(self.0, "\\u{unit:04x}")),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use log::Level;
    use proptest::prelude::*;

    /// The line of a record with one field more than the event.
    fn line(message: &str, key: &str, value: Value<'_>) -> String {
        let fields: &[(&str, Value<'_>)] =
            &[(EVENT_KEY, Value::from("closed")), (key, value), (AGE_KEY, Value::from(7u64))];
        fmt::from_fn(|f| {
            let mut builder = Record::builder();
            let builder = builder.level(Level::Info).key_values(&fields);
            let time = "2026-11-21T03:28:53.611Z";
            write(f, &time, &builder.args(format_args!("{message}")).build())
        })
        .to_string()
    }

    #[test]
    fn fields_keep_their_types_and_their_order() {
        for (value, shown) in [
            (Value::from(1u64), "1"),
            (Value::from(-1i64), "-1"),
            (Value::from(0.25), "0.25"),
            (Value::from(f64::NAN), "null"),
            (Value::from(true), "true"),
            (Value::null(), "null"),
            (Value::from("a\"b"), r#""a\"b""#),
            (Value::from_display(&'é'), "\"é\""),
        ] {
            let expected = format!(
                r#"{{"time":"2026-11-21T03:28:53.611Z","level":"INFO","event":"closed",{}"#,
                format_args!(r#""message":"m","field":{shown}}}"#)
            );
            assert_eq!(line("m", "field", value), expected);
        }
    }

    #[test]
    fn a_record_without_an_event_is_a_log_line() {
        let write = |f: &mut Formatter<'_>| {
            write(f, &"t", &Record::builder().args(format_args!("m")).build())
        };
        let line = fmt::from_fn(write).to_string();
        assert_eq!(line, r#"{"time":"t","level":"INFO","event":"log","message":"m"}"#);
    }

    proptest! {
        #[test]
        fn every_text_is_a_valid_string_in_one_printable_line(text: String, key: String) {
            let line = line(&text, &format!("k{key}"), Value::from(text.as_str()));
            prop_assert!(line.chars().all(is_printable), "{line:?}");
            let event: serde_json::Value = serde_json::from_str(&line).expect("JSON");
            prop_assert_eq!(&event["message"], &text);
            prop_assert_eq!(&event[format!("k{key}")], &text);
        }
    }
}

//! What went wrong: the first exchanges of each kind of error, in every report.

use serde_json::Value;

use crate::runs::{Run, Scratch, measure};
use crate::servers::{Answer, Counter, right, text, text_but};

fn exchanges(run: &Run) -> &Vec<Value> {
    run["exchanges"].as_array().expect("a list")
}

#[test]
fn the_first_three_of_a_kind_have_time_and_connection() {
    let lines = Counter::default();
    let url = text(move |line| match lines.add() {
        number if number % 5 == 4 => Answer::Bytes(format!("no {number}\x07\n").into_bytes()),
        _ => right(line),
    });
    let html = Scratch::new("html");
    let run = measure(&[&url, "-n", "40", "-c", "1", "-m", "ECHO hi", "--html", html.path()]);
    run.exits_with(4).only_error("wrong", 8);
    let of = |key: &str| -> Vec<&str> {
        exchanges(&run).iter().map(|exchange| exchange[key].as_str().expect(key)).collect()
    };
    assert_eq!((of("sent"), of("expected")), (vec![r"ECHO hi\n"; 3], vec![r"ECHO hi\n"; 3]));
    assert_eq!(of("got"), [r"no 4\x07\n", r"no 9\x07\n", r"no 14\x07\n"]);
    let times = exchanges(&run).iter().map(|exchange| exchange["at_s"].as_f64().expect("a time"));
    assert!(times.is_sorted_by(|a, b| a <= b) && exchanges(&run)[0]["at_s"] != 0.0, "{run:?}");
    assert!(exchanges(&run).iter().all(|exchange| exchange["connection_number"] == 0));
    let (text, page) = (run.ended.text(), html.text().expect("a page"));
    assert_eq!(text.matches("wrong at ").count(), 3, "{text}");
    for part in [r"no 4\x07\n", " on connection 0"] {
        assert!(text.contains(part) && page.contains(part), "{part}: {text}");
    }
}

#[test]
fn a_request_without_a_reply_is_shown() {
    let url = text_but(10, |_| Answer::Last(Vec::new()));
    let run = measure(&[&url, "-n", "20", "-c", "1", "-m", "ECHO hi"]);
    run.only_error("missing", 1);
    let [missing] = &exchanges(&run)[..] else { panic!("{run:?}") };
    assert_eq!(
        ["cause", "sent", "got"].map(|key| missing[key].as_str().expect(key)),
        ["missing", r"ECHO hi\n", "nothing"]
    );
}

#[test]
fn a_skipped_request_shows_the_reply_that_came_first() {
    let lines = Counter::default();
    let url = text(move |line| if lines.add() == 2 { Answer::Nothing } else { right(line) });
    let run = measure(&[&url, "-n", "40", "-c", "1", "-P", "4"]);
    run.only_error("missing", 1);
    assert_eq!(exchanges(&run)[0]["hint"], "this is the reply to a later request", "{run:?}");
}

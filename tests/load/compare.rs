//! Comparing two reports.

use std::time::Duration;

use crate::runs::{Report, Scratch, refuses, run};
use crate::servers::{late, right, text};

/// Makes a run and returns its report.
fn report(url: &str) -> Scratch {
    let file = Scratch::new("json");
    let ended = run(&[url, "-q", "-c", "1", "-n", "30", "--json", file.path()]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    file
}

#[test]
fn a_slower_server_crosses_the_gate_of_its_change() {
    let (fast, slow) = (report(&text(right)), report(&late(Duration::from_millis(20))));
    let compare = |files: [&Scratch; 2], gate: &str| {
        let json = Scratch::new("json");
        let [before, after] = files.map(Scratch::path);
        let ended = run(&["compare", before, after, "--fail-if", gate, "--json", json.path()]);
        assert_eq!(ended.stderr, "", "{ended:?}");
        (ended, json.json())
    };
    let (ended, json) = compare([&fast, &slow], "p50>+10%");
    assert_eq!(ended.code, Some(3), "{ended:?}");
    assert!(ended.text().contains("Gates   FAIL p50>+10%: +"), "{ended:?}");
    let before = Report::new(fast.json()).number("latency.from_send.p50_us");
    let row = &json["rows"][2];
    assert_eq!((&row["name"], row["before"].as_f64()), (&"p50_us".into(), Some(before)));
    assert!(row["change_ratio"].as_f64().is_some_and(|change| change > 0.1), "{row}");
    for (files, gate) in [([&slow, &fast], "p50>+10%"), ([&slow, &slow], "p99>+0%")] {
        let (ended, json) = compare(files, gate);
        assert_eq!(ended.code, Some(0), "{ended:?}");
        assert_eq!(json["gates"][0]["crossed"], false);
    }
}

#[test]
fn wrong_comparisons_are_refused_with_a_remedy() {
    refuses(&["compare", "a.json"], 2, "compare needs two JSON reports");
    refuses(&["compare", "a.json", "b.json"], 1, "cannot read a.json");
    refuses(&["compare", "a.json", "b.json", "-c", "5"], 2, "--connections has no effect");
    refuses(&["--fail-if", "p99>+10%"], 2, "the gate 'p99>+10%' is for compare");
}

//! Merging reports of several machines.

use crate::runs::{Report, Scratch, refuses, run};
use crate::servers::{right, text};
use crate::support::program::Ended;

/// Makes a run and returns its report.
fn report(url: &str, more: &[&str]) -> Scratch {
    let file = Scratch::new("json");
    let ended =
        run(&[&[url, "-q", "-c", "2", "-d", "200ms", "--json", file.path()], more].concat());
    assert_eq!(ended.code, Some(0), "{ended:?}");
    file
}

fn merged(files: &[&Scratch], more: &[&str]) -> (Ended, Report) {
    let file = Scratch::new("json");
    let paths: Vec<&str> = files.iter().map(|file| file.path()).collect();
    let ended = run(&[&["merge"], &paths[..], &["--json", file.path()], more].concat());
    assert_eq!(ended.stderr, format!("Wrote {}\n", file.path()), "{ended:?}");
    (ended, Report::new(file.json()))
}

#[test]
fn counts_of_two_machines_are_added_up() {
    let url = text(right);
    let files = [report(&url, &[]), report(&url, &["-P", "3"])];
    let (ended, both) = merged(&[&files[0], &files[1]], &[]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.text().contains("Merged from 2 reports: "), "{ended:?}");
    let reports = [Report::new(files[0].json()), Report::new(files[1].json())];
    for key in ["requests.sent", "replies.correct", "connections.opened", "generator.threads"] {
        assert_eq!(
            both.count(key),
            reports.iter().map(|report| report.count(key)).sum::<u64>(),
            "{key}"
        );
    }
    assert_eq!(both.count("asked.connections"), 4);
}

#[test]
fn a_single_report_can_be_shown_again() {
    let file = report(&text(right), &[]);
    let (ended, again) = merged(&[&file], &[]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(again.count("replies.correct"), Report::new(file.json()).count("replies.correct"));
}

#[test]
fn gates_are_checked_against_the_merged_report() {
    let url = text(right);
    let gates = ["--fail-if", "connections<3"];
    // Each run alone has fewer.
    let files = [0, 1].map(|_| {
        let file = Scratch::new("json");
        let ended =
            run(&[&[&url[..], "-q", "-c", "2", "-d", "200ms", "--json", file.path()], &gates[..]]
                .concat());
        assert_eq!(ended.code, Some(3), "{ended:?}");
        file
    });
    let (ended, _) = merged(&[&files[0], &files[1]], &[]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
}

#[test]
fn reports_that_do_not_fit_are_refused_in_one_line() {
    let url = text(right);
    let closed = report(&url, &[]);
    let open = report(&url, &["-R", "100"]);
    refuses(&["merge"], 2, "merge needs JSON reports");
    refuses(&["merge", "no-such-file.json"], 1, "cannot read no-such-file.json");
    refuses(&["merge", concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")], 1, "not JSON");
    refuses(&["merge", closed.path(), closed.path()], 1, "is listed twice");
    refuses(&["merge", closed.path(), open.path()], 1, "their latencies are not comparable");
}

//! The page of operations has a row for each metric, in order, and no other.

use crate::support::documents::Document;
use tinytcp_core::metrics::{METRICS, Source};

#[test]
fn the_page_of_operations_describes_every_metric() {
    let page = Document::read("docs/operations.md").text;
    let (_, table) = page.split_once("### The metrics").expect("a section of metrics");
    let rows = table.lines().skip_while(|line| !line.starts_with("| `"));
    let rows = rows.take_while(|line| line.starts_with('|'));
    let expected = METRICS.iter().map(|metric| {
        let per = match metric.source {
            Source::Server(_) => "server",
            Source::Listener(_) => "listener",
            Source::Reason(_) => "reason",
            Source::Earliest(_) => "listener",
            Source::Histogram(_) => "bound",
            Source::Bus(_) => "bus",
        };
        format!("| `{}` | {per} | {} |", metric.name, metric.help)
    });
    assert!(rows.eq(expected.clone()), "expected:\n{}", expected.collect::<Vec<_>>().join("\n"));
}

//! The results by address.

use super::BOLD;
use super::layout::{TextPage, cell, latency_cell};
use crate::measurement::format::{count, duration};
use crate::report::Report;
use crate::report::words::printable;

impl TextPage {
    /// The results by address, of connections that are spread.
    pub(super) fn addresses(&mut self, report: &Report) {
        let Some(longest) = report.addresses.iter().map(|one| one.address.len()).max() else {
            return;
        };
        self.line("");
        let mut head = format!("{:longest$}", "Address");
        ["opened", "failed", "correct", "errors"].iter().for_each(|name| cell(&mut head, name));
        ["p50", "p99"].iter().for_each(|name| latency_cell(&mut head, name));
        let head = self.paint(BOLD, &head);
        self.line(&head);
        for one in &report.addresses {
            let mut row = format!("{:longest$}", printable(&one.address));
            [one.opened_count, one.failed_count, one.correct_count, one.errors_count]
                .iter()
                .for_each(|number| cell(&mut row, &count(*number)));
            for quantile in [0.5, 0.99] {
                let figure = one.latency.quantile(quantile);
                latency_cell(&mut row, &figure.map_or_else(|| "-".into(), duration));
            }
            self.line(&row);
        }
    }
}

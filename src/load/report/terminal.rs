//! Being written.
#[allow(dead_code)]
pub(super) fn text(report: &super::Report, _is_coloured: bool, _width: usize) -> String {
    format!("{}\n", report.verdict.kind.name())
}

//! Being written.
#[allow(dead_code)]
pub(super) fn text(_report: &super::Report) -> String {
    String::new()
}

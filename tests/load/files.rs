//! The destinations of reports: files and stdout, and errors of writing to them.

use std::fs::OpenOptions;
use std::io;

use crate::runs::{Running, Scratch, generator, run};
use crate::servers::{Counter, right, text};
use crate::support::program;
use crate::support::wait::{undisturbed, wait_until};

const SHORT: [&str; 5] = ["-q", "-c", "2", "-d", "100ms"];

#[test]
fn every_requested_file_is_written() {
    let files = ["json", "csv", "html", "hgrm"].map(Scratch::new);
    let [json, csv, html, hgrm] = files.each_ref().map(Scratch::path);
    let url = text(right);
    let ended =
        run(&[&[&url, "--json", json, "--csv", csv, "--html", html, "--hgrm", hgrm], &SHORT[..]]
            .concat());
    assert_eq!(ended.code, Some(0), "{ended:?}");
    for (file, part) in files.iter().zip([
        "\"schema\": \"tinytcp-load/2\"",
        "start_s,",
        "<!doctype html>",
        "Percentile",
    ]) {
        let text = file.text().expect("it was written");
        assert!(text.to_lowercase().contains(&part.to_lowercase()), "{part} is missing: {text}");
    }
}

#[test]
fn an_unwritable_file_is_one_line_after_the_report() {
    let url = text(right);
    let json = Scratch::new("json");
    let ended = run(&[&[&url, "--json", json.path(), "--csv", "/dev/full"], &SHORT[..]].concat());
    assert_eq!(ended.code, Some(1), "{ended:?}");
    ended.complaining_in_one_line("tinytcp-load").saying("cannot write /dev/full: ");
    assert!(ended.text().contains("Verdict"), "{ended:?}");
    assert!(json.text().is_some(), "the other file is written");
}

#[test]
fn a_report_is_absent_until_it_is_complete() {
    let answered = Counter::default();
    let counted = answered.clone();
    let url = text(move |line| {
        counted.add();
        right(line)
    });
    let mut running = Running::start(generator(&[&url, "-c", "1", "-d", "60s"]));
    wait_until("requests are answered", || answered.get() > 10);
    assert_eq!(running.report.text(), None);
    running.child.kill().expect("a child");
    program::wait(&mut running.child);
    assert_eq!(running.report.text(), None);
}

#[test]
fn a_missing_folder_is_reported_before_the_run() {
    let ended = run(&[&[&text(right), "--csv", "/no/such/folder/run.csv"], &SHORT[..]].concat());
    assert_eq!(ended.code, Some(1), "{ended:?}");
    ended.complaining_in_one_line("tinytcp-load").saying("cannot write /no/such/folder/run.csv: ");
    assert!(!ended.text().contains("Verdict"), "nothing was run: {ended:?}");
}

#[test]
fn a_closed_or_full_stdout_loses_only_the_text() {
    let url = text(right);
    let full = || OpenOptions::new().write(true).open("/dev/full").map(Into::into);
    let closed = || io::pipe().map(|(_reader, writer)| writer.into());
    let outputs: [&dyn Fn() -> io::Result<std::process::Stdio>; 2] = [&full, &closed];
    for output in outputs {
        let json = Scratch::new("json");
        let mut command = generator(&[&[&url, "--json", json.path()], &SHORT[..]].concat());
        command.stdout(output().expect("a stdout that takes nothing"));
        let ended = program::finish(command);
        assert_eq!((ended.code, &ended.stderr[..]), (Some(0), ""), "{ended:?}");
        assert!(json.text().is_some(), "the file is written");
    }
}

#[test]
fn progress_goes_to_stderr_which_may_be_closed() {
    let url = text(right);
    let seconds = [&url[..], "-c", "2", "-R", "100", "-d", "1200ms"];
    let ended = undisturbed(|| {
        let ended = run(&seconds);
        assert_eq!(ended.code, Some(0), "{ended:?}");
        // A busy machine can pause the generator from the first second to the end.
        (!ended.stderr.is_empty()).then_some(ended)
    });
    // On a busy machine some requests are unsent, which the line says before the errors.
    ended.saying(" 2 open, ").saying(", 0 errors\n");
    assert!(ended.stderr.starts_with("1 s of 1 s: "), "{ended:?}");
    assert!(!ended.text().contains("1 s of 1 s: "), "{ended:?}");
    let mut command = generator(&seconds);
    command.stderr(io::pipe().map(|(_reader, writer)| writer).expect("a pipe"));
    assert_eq!(program::finish(command).code, Some(0));
}

#[test]
fn output_without_a_terminal_has_no_colours() {
    let ended = run(&[&[&text(right)[..]], &SHORT[..]].concat());
    assert!(!ended.text().contains('\u{1b}'), "{ended:?}");
    assert!(ended.text().lines().all(|line| line.chars().count() <= 80), "{ended:?}");
}

//! `strace` around a program of the guide, and its lines in a short form.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use crate::program::{Program, settle};
use crate::support::wait::wait_for;

/// The calls that are recorded.
const CALLS: &str = "trace=listen,accept4,epoll_ctl,epoll_wait,recvfrom,sendto,shutdown,close";

/// Lines that stand together: the next one that contains all of `from`, `before` lines before it,
/// and the lines after it up to the first one that contains all of `to`, if that has any words.
pub struct Part {
    pub before: usize,
    pub from: &'static [&'static str],
    pub to: &'static [&'static str],
}

/// Runs `client` against `program` under `strace`. Returns the program's calls in a short form.
pub fn trace(program: &str, args: &[&str], client: impl Fn(&mut Program)) -> Vec<String> {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR"))
        .join(format!("trace-{}-{program}", std::process::id()));
    let file = path.to_str().expect("a path in UTF-8");
    // With `-D` the tracer is the child of the program, and the program our own child.
    let wrapper = ["strace", "-D", "-q", "-s", "16", "-o", file, "-e", CALLS];
    let mut running = Program::start_under(&wrapper, program, args);
    client(&mut running);
    if running.is_running() {
        // Once another client is answered, all calls before that are written down.
        running.process().limit_descriptors(64);
        settle(&mut running.connect());
    }
    drop(running);
    let trace = wait_for("the end of the trace", || {
        fs::read_to_string(&path).ok().filter(|trace| trace.contains("+++"))
    });
    // It is read by nothing else.
    let _ = fs::remove_file(&path);
    trace.lines().filter_map(short).collect()
}

/// The parts of a trace. Calls that repeat are counted instead of shown.
///
/// # Panics
/// When a part is not there.
pub fn excerpt(calls: &[String], parts: &[Part]) -> String {
    let lines = folded(calls);
    let find = |start: usize, words: &[&str]| {
        let is_it = |line: &String| words.iter().all(|word| line.contains(word));
        let at = lines[start..].iter().position(is_it).map(|at| start + at);
        at.unwrap_or_else(|| panic!("no {words:?} in:\n{}", lines.join("\n")))
    };
    let mut shown: Vec<String> = Vec::new();
    let mut end = 0;
    for Part { before, from, to } in parts {
        let at = find(end, from);
        let start = at.saturating_sub(*before).max(end);
        if end > 0 && start > end {
            shown.push("...".to_owned());
        }
        end = if to.is_empty() { at + 1 } else { find(at + 1, to) + 1 };
        shown.extend_from_slice(&lines[start..end]);
    }
    shown.join("\n")
}

/// Calls with each cycle of 2 calls that repeats shown once.
fn folded(mut calls: &[String]) -> Vec<String> {
    let shapes = |calls: &[String]| calls.iter().map(|call| shape(call)).collect::<Vec<_>>();
    let mut shown = Vec::new();
    while let [first, rest @ ..] = calls {
        let cycle = shapes(&calls[..calls.len().min(2)]);
        let count = calls.chunks_exact(2).take_while(|calls| shapes(calls) == cycle).count();
        if count > 2 {
            shown.extend(calls[..2].iter().cloned());
            shown.push(format!("... the same 2 calls {} more times", count - 1));
            calls = &calls[2 * count..];
        } else {
            shown.push(first.clone());
            calls = rest;
        }
    }
    shown
}

/// What must be the same when a trace is recorded again: which calls are made, on which descriptors
/// and with which errors. How often a call is made, how many bytes it moves, and how often the
/// program waits and looks in vain depends on the machine.
pub fn outline(lines: &str) -> BTreeSet<String> {
    let shapes = lines.lines().filter(|line| !line.starts_with("...")).map(shape);
    let is_idle = |shape: &String| {
        shape.starts_with("epoll_wait") || shape.ends_with("EAGAIN") && !shape.starts_with("sendto")
    };
    shapes.filter(|shape| !is_idle(shape)).collect()
}

/// Which call it is, on which descriptor, and its error or the end of input.
fn shape(line: &str) -> String {
    let call = line.split([',', ')']).next().unwrap_or_default();
    match line.rsplit_once(" = -1 ") {
        Some((_, error)) => format!("{call} fails with {error}"),
        None if line.starts_with("recvfrom") && line.ends_with(" = 0") => format!("{call} ends"),
        None => call.to_owned(),
    }
}

/// A line of `strace` without the arguments that never matter in the guide; none for other lines.
fn short(line: &str) -> Option<String> {
    let (name, rest) = line.split_once('(')?;
    // The end of the program cuts the last call off: its result is a question mark.
    let (args, result) = rest.rsplit_once(" = ").filter(|(_, result)| !result.starts_with('?'))?;
    let args = args.trim_end().strip_suffix(')')?;
    let result = result.split(" (").next()?;
    let fields: Vec<&str> = args.split(", ").collect();
    let shown = match name {
        "accept4" => fields[0].to_owned(),
        // A call that fails shows the address of the buffer.
        "recvfrom" if result.starts_with('-') => format!("{}, ..., {}", fields[0], fields[2]),
        "recvfrom" => fields[..fields.len() - 3].join(", "),
        "sendto" => fields[..fields.len() - 3].join(", "),
        "epoll_ctl" => format!("{}, {}", fields[..3].join(", "), events(args)),
        "epoll_wait" => {
            format!("{}, [{}], {}", fields[0], events(args), fields[fields.len() - 1])
        }
        _ => args.to_owned(),
    };
    Some(format!("{name}({shown}) = {result}"))
}

/// The events among the arguments of a call, each with its token.
fn events(args: &str) -> String {
    let event = |text: &str| {
        let (events, rest) = text.split_once(", data={u32=")?;
        let (_, token) = rest.split_once("u64=")?;
        let token: u64 = token.split('}').next()?.parse().ok()?;
        Some(format!("{{{events}, {}}}", token_name(token)))
    };
    let events: Vec<String> = args.split("{events=").skip(1).filter_map(event).collect();
    events.join(", ")
}

/// A token as the pages call it: the key, or the generation and the key.
fn token_name(token: u64) -> String {
    match (token, token >> 32, token & 0xffff_ffff) {
        (u64::MAX, ..) => "LISTENER".to_owned(),
        (_, 0xffff_ffff, 0xffff_fffe) => "SIGNALS".to_owned(),
        (_, 0, key) => format!("token {key}"),
        (_, generation, key) => format!("token {generation}:{key}"),
    }
}

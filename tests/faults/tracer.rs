//! `strace` around the server: it records the system calls of the server, and makes some of them
//! fail.

use crate::support::server::{Server, listen_flags, program_under};
use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A call that fails without being made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    pub call: &'static str,
    /// The name of the error, such as `EMFILE`.
    pub error: &'static str,
    /// The calls that fail, as `strace` counts them from 1 in each thread: `first` to `last`.
    pub first: usize,
    pub last: usize,
}

/// The greatest index of a call that `strace` can make fail.
pub const INDEX_MAX: usize = 65_534;

/// The mark of `strace` after a call that it has made fail.
const INJECTED: &str = "(INJECTED)";

/// In the call with which a signal handler wakes the loop, and in no other call that sends.
const HANDLERS: &str = "\"X\", 1, MSG_DONTWAIT";

/// The file to which `strace` writes; removed at the end.
pub struct Trace(PathBuf);

impl Trace {
    /// The name of the file has a number, because the kernel may use the id of a process twice.
    pub fn new() -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let name = format!("trace-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        Self(PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name))
    }

    /// Returns the command of the server with `flags`. `strace` traces its calls in `calls`, with
    /// `fault`. The child process is the server, and `strace` is its grandchild.
    pub fn command(&self, calls: &[&str], fault: Option<Fault>, flags: &[&str]) -> Command {
        let path = self.0.to_str().expect("a path in UTF-8");
        let traced = format!("trace={}", calls.join(","));
        let inject = fault.map(|Fault { call, error, first, last }| {
            format!("inject={call}:error={error}:when={first}..{last}")
        });
        let mut wrapper =
            vec!["strace", "-D", "-f", "-qq", "--seccomp-bpf", "-o", path, "-e", &traced];
        if let Some(inject) = &inject {
            wrapper.extend(["-e", inject]);
        }
        let mut command = program_under(&wrapper);
        command.args(listen_flags()).args(flags);
        command
    }

    /// Starts a server with [`Trace::command`].
    pub fn start(&self, calls: &[&str], fault: Option<Fault>, flags: &[&str]) -> Server {
        Server::launch(self.command(calls, fault, flags))
    }

    /// Returns all recorded lines. They are complete once the server has ended.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.0).unwrap_or_default()).into_owned()
    }

    /// True if the fault has occurred.
    pub fn has_hit(&self) -> bool {
        self.text().contains(INJECTED)
    }

    /// True if it has hit the call with which the handler of a signal wakes the loop.
    pub fn has_hit_the_handler(&self) -> bool {
        self.text().lines().any(|line| line.contains(INJECTED) && line.contains(HANDLERS))
    }
}

impl Drop for Trace {
    fn drop(&mut self) {
        // It fails only if nothing was written.
        let _ = fs::remove_file(&self.0);
    }
}

/// The number of times that the server made a call: up to the first wait for events, and from there
/// on. If several threads make it, it is the greatest number of one thread.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    pub starting: usize,
    pub serving: usize,
}

/// Counts the calls in a trace.
pub fn count(trace: &str) -> BTreeMap<String, Count> {
    let mut of_threads: BTreeMap<(&str, &str), Count> = BTreeMap::new();
    let mut serves = false;
    for (thread, call) in trace.lines().filter_map(call) {
        serves |= call == "epoll_wait";
        let count = of_threads.entry((call, thread)).or_default();
        *(if serves { &mut count.serving } else { &mut count.starting }) += 1;
    }
    let mut counts: BTreeMap<String, Count> = BTreeMap::new();
    for ((call, _), count) in of_threads {
        let most = counts.entry(call.to_owned()).or_default();
        most.starting = most.starting.max(count.starting);
        most.serving = most.serving.max(count.serving);
    }
    counts
}

/// Returns the number among the calls `name` of the one that the signal handler made.
pub fn handler_call(name: &str, trace: &str) -> Option<usize> {
    let calls = trace.lines().filter(|line| call(line).is_some_and(|(_, called)| called == name));
    calls.zip(1..).find(|(line, _)| line.contains(HANDLERS)).map(|(_, index)| index)
}

/// Returns the thread and the name of the call with which a line begins: `1234 recvfrom(8, "x",
/// ...`. Lines about signals, and about a call that is resumed, are no calls.
pub fn call(line: &str) -> Option<(&str, &str)> {
    let (thread, rest) = line.split_once(' ')?;
    let (name, _) = rest.trim_start().split_once('(')?;
    (!name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_'))
        .then_some((thread, name))
}

#[test]
fn calls_are_counted_by_thread_before_and_after_the_first_wait() {
    let trace = "\
7 socket(AF_INET, SOCK_STREAM, 0) = 3
8 write(2, \"x\", 1 <unfinished ...>
8 <... write resumed>) = 1
9 write(1, \"x\", 1) = 1
7 epoll_wait(4,  <unfinished ...>
9 write(1, \"x\", 1) = 1
9 write(1, \"(INJECTED)\", 1) = 1
7 <... epoll_wait resumed>[], 1024, 10) = 0
7 --- SIGTERM {si_signo=SIGTERM} ---
7 +++ exited with 0 +++
";
    let counts = count(trace);
    assert_eq!(counts.len(), 3);
    assert_eq!(counts["socket"], Count { starting: 1, serving: 0 });
    assert_eq!(counts["epoll_wait"], Count { starting: 0, serving: 1 });
    assert_eq!(counts["write"], Count { starting: 1, serving: 2 });
}

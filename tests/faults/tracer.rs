//! `strace` around the server: it writes down the server's system calls, and makes some of them
//! fail.

use crate::support::server::{Server, listen_flags, program_under};
use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

/// One call that fails instead of being made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    pub call: &'static str,
    /// The name of the error, such as `EMFILE`.
    pub error: &'static str,
    /// Which of the calls fail, as `strace` counts them from 1 in each thread: `first` to `last`.
    pub first: usize,
    pub last: usize,
}

/// The last call that `strace` can make to fail.
pub const INDEX_MAX: usize = 65_534;

/// What `strace` writes behind a call that it has made to fail.
const INJECTED: &str = "(INJECTED)";

/// In the call by which the handler of a signal wakes the loop, and in no other that sends.
const HANDLERS: &str = "\"X\", 1, MSG_DONTWAIT";

/// Where `strace` writes what it sees; removed at the end.
pub struct Trace(PathBuf);

impl Trace {
    /// Server processes are told apart by their numbers, which the kernel may give twice.
    pub fn new() -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let name = format!("trace-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        Self(PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name))
    }

    /// The server with `flags`, traced in those of its calls that `calls` names, with `fault` among
    /// them. The child process is the server itself: `strace` watches from behind.
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

    /// A server as [`Trace::command`] starts it.
    pub fn start(&self, calls: &[&str], fault: Option<Fault>, flags: &[&str]) -> Server {
        Server::launch(self.command(calls, fault, flags))
    }

    /// All that has been written down. Complete once the server has ended.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.0).unwrap_or_default()).into_owned()
    }

    /// True when a call has been made to fail.
    pub fn has_hit(&self) -> bool {
        self.text().contains(INJECTED)
    }

    /// True when it was the call by which the handler of a signal announces it.
    pub fn has_hit_the_handler(&self) -> bool {
        self.text().lines().any(|line| line.contains(INJECTED) && line.contains(HANDLERS))
    }
}

impl Drop for Trace {
    fn drop(&mut self) {
        // It fails only when nothing was written.
        let _ = fs::remove_file(&self.0);
    }
}

/// How often the server made a call: up to the first wait for events, and from there on. Where
/// several threads make it, the most that one of them did.
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

/// Which of the calls `name` is that of the handler of a signal.
pub fn handler_call(name: &str, trace: &str) -> Option<usize> {
    let calls = trace.lines().filter(|line| call(line).is_some_and(|(_, called)| called == name));
    calls.zip(1..).find(|(line, _)| line.contains(HANDLERS)).map(|(_, index)| index)
}

/// The thread and the name of the call with which a line begins: `1234 recvfrom(8, "x", ...`. What
/// a call resumes, and signals, are no calls.
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

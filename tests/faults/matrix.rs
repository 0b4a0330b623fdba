//! Every call of every scenario fails in turn: with each error of its manual page, at each place
//! where it is made, up to [`PLACES_MAX`].
//!
//! After each fault a later peer is served, SIGTERM ends the server with code 0, no peer receives a
//! wrong byte, no thread panics, and every descriptor is freed. A fault that only interrupts a
//! call, delays it or concerns the log has no effect on any peer.
//!
//! Not injected are: a count of bytes that were not sent, and EAGAIN of a read, because no event
//! would follow; an error of `close`, because the kernel closes nevertheless and `strace` does not;
//! ENOMEM of `mmap` and similar calls, which ends the process, as `docs/operations.md` says.

use crate::alone;
use crate::scenarios::{Heard, SCENARIOS, Scenario};
use crate::support::server::Server;
use crate::support::wait::wait_until;
use crate::support::{BANNER, KIB, PROTOCOLS};
use crate::tracer::{Fault, Trace, count, handler_call};
use std::io::{Write, stderr};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// The number of places at which a call fails in a scenario: the first ones after the start.
const PLACES_MAX: usize = 8;

/// The number of servers at a time. Most of them wait.
const WORKERS: usize = 12;

/// A call, its errors, and the effect that they may have.
struct Call {
    name: &'static str,
    errors: &'static [&'static str],
    cost: Cost,
}

/// The effect that a failure may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cost {
    Nothing,
    /// The connection of the call ends early, or is not accepted.
    Connection,
}

const CALLS: [Call; 14] = [
    // One error of each kind. `accepting` has all of them.
    Call {
        name: "accept4",
        errors: &["EMFILE", "ECONNABORTED", "ENETDOWN", "EINVAL", "EINTR"],
        cost: Cost::Nothing,
    },
    Call { name: "epoll_wait", errors: &["EINTR"], cost: Cost::Nothing },
    Call { name: "recvfrom", errors: &["EINTR"], cost: Cost::Nothing },
    Call {
        name: "recvfrom",
        errors: &["ECONNRESET", "ETIMEDOUT", "EHOSTUNREACH", "ENOBUFS", "ENOMEM"],
        cost: Cost::Connection,
    },
    Call { name: "sendto", errors: &["EINTR"], cost: Cost::Nothing },
    Call {
        name: "sendto",
        errors: &["EPIPE", "ECONNRESET", "ETIMEDOUT", "EHOSTUNREACH", "ENOBUFS", "ENOMEM"],
        cost: Cost::Connection,
    },
    Call { name: "epoll_ctl", errors: &["ENOMEM", "ENOSPC"], cost: Cost::Connection },
    Call { name: "shutdown", errors: &["ENOTCONN", "ENOBUFS"], cost: Cost::Connection },
    Call { name: "setsockopt", errors: &["ENOMEM", "ENOBUFS"], cost: Cost::Nothing },
    // The log, and a time zone that cannot be read.
    Call {
        name: "write",
        errors: &["EINTR", "EAGAIN", "EIO", "ENOSPC", "EPIPE"],
        cost: Cost::Nothing,
    },
    Call {
        name: "openat",
        errors: &["EMFILE", "ENFILE", "ENOENT", "EACCES", "EINTR"],
        cost: Cost::Nothing,
    },
    Call { name: "statx", errors: &["ENOENT", "ENOMEM"], cost: Cost::Nothing },
    Call { name: "read", errors: &["EINTR", "EIO"], cost: Cost::Nothing },
    Call { name: "readlink", errors: &["ENOENT", "ENOMEM"], cost: Cost::Nothing },
];

/// One run: a scenario in which one call fails.
#[derive(Clone, Copy)]
struct Run {
    scenario: &'static Scenario,
    fault: Option<Fault>,
    cost: Cost,
}

/// Runs a scenario, and returns its trace.
fn run(Run { scenario, fault, cost }: Run) -> Trace {
    let trace = Trace::new();
    let mut calls: Vec<&str> = CALLS.iter().map(|call| call.name).collect();
    if let Some(fault) = fault {
        calls = vec![fault.call];
    }
    let mut server = trace.start(&calls, fault, scenario.flags);
    let descriptors = server.descriptor_count();
    let heard = (scenario.play)(&server);
    if !scenario.stops {
        check_unharmed(&server, descriptors);
        end(&mut server, &trace);
    }
    let status = server.wait_for_exit();
    assert_eq!(status.code(), Some(0), "the exit code");
    let holds = if cost == Cost::Nothing { Heard::is_all } else { Heard::is_true };
    heard.iter().for_each(|heard| assert!(holds(heard), "it costs {cost:?}, and {heard:?}"));
    let complaint = server.log.text().into_iter().find(|line| line.contains("panicked"));
    assert_eq!(complaint, None, "a panic");
    trace
}

/// Ends the server by SIGTERM. If the call that fails is that of the signal handler, and the server
/// does not wait at that moment, the signal is lost. Then it is sent again.
fn end(server: &mut Server, trace: &Trace) {
    let mut signals = 0;
    wait_until("the server ends", || {
        let wanted = 1 + usize::from(trace.has_hit_the_handler());
        (signals..wanted).for_each(|_| server.process().signal("TERM"));
        signals = wanted;
        !server.is_running()
    });
}

/// Checks that a later peer is served, and that no descriptor and no connection is left open.
fn check_unharmed(server: &Server, descriptors: usize) {
    // The fault may hit this peer, or its place is not free yet. Then the next peer is served.
    wait_until("a later peer is served", || {
        let mut peer = server.connect("text");
        peer.try_send(b"ECHO later\nQUIT\n");
        peer.read_until_ended(KIB) == [BANNER, b"ECHO later\nBYE\n"].concat()
    });
    server.wait_for_descriptors(descriptors);
    wait_until("no connection waits to be closed", || server.process().close_waits() == 0);
}

/// Returns the runs of a scenario with each fault. `trace` is that of the run without a fault.
fn runs_of(scenario: &'static Scenario, trace: &str) -> Vec<Run> {
    let counts = count(trace);
    let mut runs = Vec::new();
    for Call { name, errors, cost } in &CALLS {
        let Some(count) = counts.get(*name) else { continue };
        // The first lines have the addresses of the listeners, which a run needs.
        let before = if *name == "write" { PROTOCOLS.len() } else { count.starting };
        // A lost signal would not be sent again to a server with peers.
        let handler = scenario.stops.then(|| handler_call(name, trace)).flatten();
        let indices = (before + 1..=count.starting + count.serving).take(PLACES_MAX);
        for index in indices.filter(|index| Some(*index) != handler) {
            let faults =
                errors.iter().map(|error| Fault { call: name, error, first: index, last: index });
            runs.extend(faults.map(|fault| Run { scenario, fault: Some(fault), cost: *cost }));
        }
    }
    runs
}

/// Makes the runs, several at a time. Returns the number of runs in which the fault occurred, and
/// the failures.
fn make(runs: &[Run]) -> (usize, Vec<String>) {
    let (next, hits, failures) = (AtomicUsize::new(0), AtomicUsize::new(0), Mutex::new(Vec::new()));
    thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(|| {
                while let Some(one) = runs.get(next.fetch_add(1, Ordering::Relaxed)) {
                    match catch_unwind(AssertUnwindSafe(|| run(*one))) {
                        Ok(trace) => {
                            hits.fetch_add(usize::from(trace.has_hit()), Ordering::Relaxed);
                        }
                        Err(_) => failures
                            .lock()
                            .expect("no panic")
                            .push(format!("{}: {:?}", one.scenario.name, one.fault)),
                    }
                }
            });
        }
    });
    (hits.into_inner(), failures.into_inner().expect("no panic"))
}

#[test]
#[ignore = "needs strace, and minutes: .ci/run does"]
fn no_failing_call_hangs_kills_or_confuses_the_server() {
    let _alone = alone();
    let mut runs = Vec::new();
    for scenario in &SCENARIOS {
        let trace = run(Run { scenario, fault: None, cost: Cost::Nothing });
        runs.extend(runs_of(scenario, &trace.text()));
    }
    let fails =
        |name: &str| runs.iter().filter_map(|run| run.fault).any(|fault| fault.call == name);
    let made_by_none: Vec<&str> =
        CALLS.iter().map(|call| call.name).filter(|name| !fails(name)).collect();
    assert_eq!(made_by_none, [""; 0], "no scenario makes these calls");
    let (hits, failures) = make(&runs);
    let _ = writeln!(
        stderr(),
        "{} runs of {} scenarios, {hits} of them with a failed call",
        runs.len(),
        SCENARIOS.len()
    );
    assert!(
        failures.is_empty(),
        "{} of {} runs went wrong: {failures:#?}",
        failures.len(),
        runs.len()
    );
    assert!(hits > runs.len() / 2, "only {hits} of {} runs had a call that failed", runs.len());
}

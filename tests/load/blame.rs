//! Servers of known speed: what the generator measures, and which side its verdict blames.

use std::thread;
use std::time::Duration;

use crate::agreement::url;
use crate::runs::{Run, Running, generator, measure, measure_whole};
use crate::servers::{late, right, text};
use crate::support::process::Process;
use crate::support::server::Server;

#[test]
fn a_constant_delay_is_no_overload() {
    let url = late(Duration::from_millis(200));
    let arguments = [&url, "-c", "150", "-R", "100", "-d", "1s", "--fail-if", "rate<99"];
    let run = measure_whole(|| measure(&arguments));
    run.is_flawless();
    assert_eq!(run.count("replies.correct"), 100);
    assert!((run.number("throughput.replies_per_s") - 100.0).abs() < 1e-6, "{run:?}");
    assert!(!run.verdicts().contains(&"server_overloaded"), "{run:?}");
}

#[test]
fn a_closed_loop_never_exceeds_the_servers_capacity() {
    // Two connections and 300 ms per reply are 6.67 replies per second; the third reply on each
    // arrives after the end.
    let run = measure(&[&late(Duration::from_millis(300)), "-c", "2", "-d", "750ms"]);
    assert!(run.is_flawless().count("replies.correct") <= 6, "{run:?}");
    assert!(run.number("throughput.replies_per_s") <= 2.0 / 0.3, "{run:?}");
}

#[test]
fn the_rate_covers_requests_due_after_the_warm_up() {
    let url = late(Duration::from_millis(200));
    let arguments = [&url, "-c", "150", "-R", "100", "-d", "1s", "--warmup", "500ms"];
    let run = measure_whole(|| measure(&arguments));
    run.is_flawless();
    assert!((run.number("throughput.replies_per_s") - 100.0).abs() < 1e-6, "{run:?}");
}

/// Makes a run that is stopped for a second after its first requests, with an idle server.
#[track_caller]
fn paused(arguments: &[&str]) -> Run {
    let server = Server::start(&[]);
    let url = url(&server, "text");
    let running = Running::start(generator(&[&[&url[..], "-d", "2s"], arguments].concat()));
    let process = Process { id: running.child.id() };
    server.wait_for_log(&["ECHO"]);
    process.signal("STOP");
    thread::sleep(Duration::from_secs(1));
    process.signal("CONT");
    running.finish()
}

#[test]
fn a_pause_of_the_generator_is_not_blamed_on_the_server() {
    // With one connection, all requests due in the pause except one wait for the connection.
    for connections in ["50", "1"] {
        let run = paused(&["-R", "500", "-c", connections]);
        let verdicts = run.verdicts();
        assert!(verdicts.contains(&"generator_limited"), "{run:?}");
        assert!(
            !verdicts.contains(&"server_overloaded") && !verdicts.contains(&"tail_queued"),
            "{run:?}"
        );
        assert!(run.number("generator.lag.p99_us") >= 500e3, "the delayed requests count: {run:?}");
    }
}

#[test]
fn a_paused_closed_loop_is_generator_limited() {
    let run = paused(&["-c", "4"]);
    assert!(run.verdicts().contains(&"generator_limited"), "{run:?}");
    assert!(run.number("generator.starved_s") >= 0.8, "{run:?}");
}

#[test]
fn a_greeting_is_not_a_reply() {
    let run = measure(&[&text(right), "-c", "7", "-m", "ECHO abc", "-d", "100ms"]);
    let replies = run.is_flawless().count("replies.correct");
    assert_eq!(run.count_bytes("replies.received"), replies * "ECHO abc\n".len() as u64, "{run:?}");
}

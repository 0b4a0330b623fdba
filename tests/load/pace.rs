//! When requests are sent: their number, stages, random arrivals and think time.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use crate::runs::{measure, measure_whole, refuses};
use crate::servers::{Answer, Counter, counting, right, session, text, text_but};
use crate::support::BANNER;
use crate::support::behaviour::serve;

#[test]
fn a_run_of_n_requests_sends_exactly_these() {
    for way in [
        &["-c", "7", "-P", "3"][..],
        &["-c", "7", "--threads", "3"],
        &["-c", "30", "--threads", "2"],
        &["-c", "2", "--lifetime", "1"],
        &["-c", "5", "-R", "2000", "--threads", "2"],
        &["-c", "3", "--think", "1ms"],
    ] {
        let (url, lines) = counting();
        let run = measure(&[&[&url, "-n", "101"], way].concat());
        run.is_flawless();
        let sent = (run.count("requests.sent"), run.count("replies.correct"), lines.get());
        assert_eq!(sent, (101, 101, 101), "{way:?}: {run:?}");
        assert_eq!(run.count("asked.requests"), 101);
        assert!(run.number("ran_s") < 600.0, "it does not wait for the end of -d: {run:?}");
    }
}

#[test]
fn failed_requests_are_not_sent_again() {
    let url = text_but(10, |_| Answer::Last(Vec::new()));
    let run = measure(&[&url, "-n", "50", "-c", "2"]);
    run.only_error("missing", 1);
    assert_eq!((run.count("requests.sent"), run.count("replies.correct")), (50, 49), "{run:?}");
}

#[test]
fn requests_that_find_no_server_are_unsent() {
    let connections = Counter::default();
    let port = serve(move |stream| {
        // Each connection after the first is closed before its greeting.
        if connections.add() == 0 {
            drop(session(stream, BANNER, |_| Answer::Last(Vec::new())));
        }
    });
    let run = measure(&[
        &format!("text://127.0.0.1:{port}"),
        "-n",
        "10",
        "-c",
        "1",
        "-d",
        "1s",
        "--timeout",
        "300ms",
    ]);
    assert_eq!(run.count("errors.total"), 10, "{run:?}");
    assert!(run.flaws().contains(&"too_short"), "{run:?}");
}

#[test]
fn stages_follow_each_other() {
    let mut received = 0;
    let run = measure_whole(|| {
        let (url, lines) = counting();
        let run = measure(&[&url, "--stages", "200ms@100,100ms@600,200ms@100:300", "-c", "20"]);
        received = lines.get();
        run
    });
    assert_eq!(run.is_flawless().count("requests.sent"), 20 + 60 + 40, "{run:?}");
    assert_eq!(received, 120);
    assert_eq!(run.number("asked.duration_s"), 0.5);
    assert_eq!(run.number("asked.pace.stages.1.from_per_s"), 600.0);
    let text = run.ended.text();
    assert!(
        text.contains("100/s for 200 ms, then 600/s for 100 ms, then 100/s to 300/s"),
        "{text}"
    );
}

#[test]
fn rates_below_one_per_second_are_kept() {
    for (rate, sent) in [("0.5", 1), ("600/m", 4), ("0.04k", 14), ("36k/h", 4)] {
        let url = text(right);
        let run = measure_whole(|| measure(&[&url, "-R", rate, "-d", "350ms", "-c", "3"]));
        assert_eq!(run.is_flawless().count("requests.sent"), sent, "{rate}: {run:?}");
    }
}

#[test]
fn a_seed_determines_poisson_arrivals() {
    let url = text(right);
    let run = |seed: u32| {
        let seed = &seed.to_string()[..];
        let run = measure(&[
            &url,
            "-R",
            "600",
            "--arrivals",
            "poisson",
            "--seed",
            seed,
            "-d",
            "300ms",
            "-c",
            "30",
            "--threads",
            "2",
        ]);
        let text = run.is_flawless().ended.text();
        assert!(
            text.contains("Poisson arrivals") && text.contains(&format!("seed {seed}\n")),
            "{text}"
        );
        run.count("requests.sent") + run.count("errors.unsent")
    };
    let (first, again) = (run(7), run(7));
    assert_eq!(first, again);
    // 180 on average; the deviation is 13.
    assert!((100..260).contains(&first), "{first}");
    assert!((8..40).any(|seed| run(seed) != first), "every seed sends {first}");
}

#[test]
fn think_time_lies_between_a_reply_and_the_next_request() {
    const THINK: Duration = Duration::from_millis(50);
    static SHORTEST: Mutex<Duration> = Mutex::new(Duration::MAX);
    let port = serve(|stream| {
        let replied = Mutex::new(None);
        let _ = session(stream, BANNER, |line| {
            let mut replied = replied.lock().expect("no thread panics");
            if let Some(before) = replied.replace(Instant::now()) {
                let mut shortest = SHORTEST.lock().expect("no thread panics");
                *shortest = shortest.min(Instant::now() - before);
            }
            right(line)
        });
    });
    let url = format!("text://127.0.0.1:{port}");
    let run = measure(&[&url, "-c", "4", "--think", "50ms", "-d", "320ms"]);
    let shortest = *SHORTEST.lock().expect("no thread panics");
    assert!((THINK..Duration::MAX).contains(&shortest), "{shortest:?}: {run:?}");
    // The first request of a connection waits for a part of the pause, so that they spread.
    assert!(run.is_flawless().count("requests.sent") <= 4 * 7, "{run:?}");
    assert_eq!(run.number("asked.pace.think_s"), 0.05);
    assert!(run.ended.text().contains("with 50 ms of think time"), "{}", run.ended.text());
}

#[test]
fn contradicting_paces_are_refused() {
    for (arguments, part) in [
        (&["-n", "5", "--hold"][..], "cannot be used with"),
        (&["-n", "5", "--warmup", "1s"], "cannot be used with"),
        (&["-n", "0"], "counts look like"),
        (&["--stages", "1s@5", "-R", "5"], "cannot be used with"),
        (&["--stages", "1s@5", "-d", "5s"], "cannot be used with"),
        (&["--stages", "1s"], "30s@100,1m@1k"),
        (&["--think", "1s", "-R", "5"], "cannot be used with"),
        (&["--arrivals", "poisson"], "add -R or --stages"),
        (&["--arrivals", "random", "-R", "5"], "poisson"),
        (&["-R", "5/d"], "30/m"),
    ] {
        refuses(arguments, 2, part);
    }
}

//! Gates: exit code 3 for a run that crosses one.

use crate::runs::{measure, refuses};
use crate::servers::{Answer, right, text, text_but};

#[test]
fn a_passed_gate_changes_nothing() {
    let gates =
        ["--fail-if", "p99>1h,errors>0", "--fail-if", "rate<1", "--fail-if", "connections<2"];
    let run = measure(&[&[&text(right)[..], "-c", "2", "-d", "200ms"], &gates[..]].concat());
    let judged = run.is_flawless()["gates"].as_array().expect("a list");
    assert_eq!(judged.len(), 4);
    assert!(judged.iter().all(|gate| gate["crossed"] == false), "{judged:?}");
    assert!(run.ended.text().contains("PASS errors>0: 0\n"), "{}", run.ended.text());
}

#[test]
fn a_crossed_gate_is_exit_code_3_with_the_measured_value() {
    let url = text(right);
    for gate in [
        "rate>0",
        "p50<1h",
        "max<1h",
        "connect_p99<1h",
        "first_byte_mean<1h",
        "errors<=0%",
        "connections>=2",
    ] {
        let run = measure(&[&url, "-c", "2", "-d", "100ms", "--fail-if", gate]);
        run.exits_with(3).is_judged(&["gate_crossed"]);
        assert!(run.ended.text().contains(&format!("FAIL {gate}: ")), "{}", run.ended.text());
    }
}

#[test]
fn an_error_crosses_a_gate_of_errors() {
    let url = text_but(10, |_| Answer::Bytes(b"ERROR OOPS\n".to_vec()));
    let run = measure(&[&url, "-c", "2", "-d", "200ms", "--fail-if", "errors>0"]);
    run.exits_with(3).is_judged(&["gate_crossed", "wrong_replies"]);
}

#[test]
fn a_run_without_a_reply_crosses_gates_and_exits_with_1() {
    let run = measure(&[
        &text(|_| Answer::Bytes(b"no\n".to_vec())),
        "-c",
        "1",
        "-d",
        "100ms",
        "--fail-if",
        "p99>1h",
    ]);
    run.exits_with(1).is_judged(&["nothing_completed", "gate_crossed", "wrong_replies"]);
    assert_eq!(run["gates"][0]["measured"], "nothing");
}

#[test]
fn an_invalid_gate_is_refused_with_an_example() {
    for gate in ["p99", "p99>", "p99=5ms", "p101>5ms", "speed>1", "errors>x", "rate<5ms", ""] {
        refuses(&["--fail-if", gate], 2, "--fail-if");
    }
    refuses(&["--fail-if", "speed>1"], 2, "gates look like");
}

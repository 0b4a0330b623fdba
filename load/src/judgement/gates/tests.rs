use std::time::Duration;

use super::*;
use crate::measurement::latency::Latency;

/// Checks a gate against replies of 1 to 100 ms, connection attempts of 10 s, 10 errors of 1000
/// requests, 990 replies per second and 50 connections.
fn check(gate: &str) -> GateResult {
    let (mut reply, mut connect) = (Latency::default(), Latency::default());
    (1..=100).for_each(|count| reply.record(Duration::from_millis(count), 1));
    connect.record(Duration::from_secs(10), 1);
    let first_byte = Latency::default();
    let measured = Measurements {
        reply: &reply,
        connect: &connect,
        handshake: Some(&connect),
        first_byte: &first_byte,
        correct: 990,
        errors: 10,
        replies_per_s: 990.0,
        connections: 50,
    };
    gate.parse::<Gate>().expect(gate).check(&measured)
}

#[test]
fn a_gate_is_crossed_exactly_if_its_condition_is_true() {
    for (gate, crossed) in [
        ("p99>98ms", true),
        ("p99>100ms", false),
        ("p50 <= 51ms", true),
        ("p99.9>=99ms", true),
        ("max>1s", false),
        ("mean>50ms", true),
        ("connect_p50>9s", true),
        ("handshake_max>11s", false),
        ("errors>10", false),
        ("errors>=10", true),
        ("errors>0", true),
        ("errors>0.5%", true),
        ("errors>1%", false),
        ("rate<1k", true),
        ("rate<900", false),
        ("connections<51", true),
        ("connections<50", false),
    ] {
        assert_eq!(check(gate).crossed, crossed, "{gate}: {:?}", check(gate));
    }
}

#[test]
fn a_percentile_is_the_quantile_of_its_digits() {
    for (name, expected) in [
        ("p50", 0.5),
        ("p5", 0.05),
        ("p99", 0.99),
        ("p99.", 0.99),
        ("p99.9", 0.999),
        ("p99.99", 0.9999),
        ("p0.5", 0.005),
        ("p100", 1.0),
        ("p100.0", 1.0),
    ] {
        assert_eq!(quantile(name), Ok(expected), "{name}");
    }
    for name in [
        "p", "p.", "p.5", "p0", "p100.1", "p1000", "99", "p9 9", "p-1", "p1e1", "p9.9.9", "pinf",
        "pä",
    ] {
        assert!(quantile(name).is_err(), "{name}");
    }
}

#[test]
fn the_measured_value_has_its_unit() {
    for (gate, measured) in [
        ("max>1s", "100 ms"),
        ("errors>1%", "1.00 %"),
        ("errors>1", "10"),
        ("rate<1", "990/s"),
        ("connections<1", "50"),
    ] {
        assert_eq!(check(gate).measured, measured, "{gate}");
    }
}

#[test]
fn a_gate_without_a_measured_value_is_crossed() {
    assert_eq!(
        check("first_byte_p99>1h"),
        GateResult { gate: "first_byte_p99>1h".into(), measured: "nothing".into(), crossed: true }
    );
    let nothing = Latency::default();
    let measured = Measurements {
        reply: &nothing,
        connect: &nothing,
        handshake: None,
        first_byte: &nothing,
        correct: 0,
        errors: 0,
        replies_per_s: 0.0,
        connections: 0,
    };
    for gate in ["p99>1h", "errors>99%", "rate>1m"] {
        assert!(gate.parse::<Gate>().expect(gate).check(&measured).crossed, "{gate}");
    }
}

#[test]
fn a_wrong_gate_is_refused_with_an_example() {
    for (gate, example) in [
        ("", "'p99>5ms'"),
        ("p99", "'p99>5ms'"),
        ("p99=5ms", "'p99>5ms'"),
        ("p99>", "20ms"),
        ("p99>5", ""),
        ("p101>5ms", "'p99>5ms'"),
        ("pNaN>5ms", "'p99>5ms'"),
        ("p0>5ms", "'p99>5ms'"),
        ("p99>5parsecs", "20ms"),
        ("latency>5ms", "'p99>5ms'"),
        ("errors>+-1%", "'errors>0.1%'"),
        ("errors>NaN%", "'errors>0.1%'"),
        ("errors>1kB", "10k"),
        ("rate<fast", "10k"),
        ("connect_>5ms", "'p99>5ms'"),
    ] {
        match gate.parse::<Gate>() {
            Ok(_) => assert_eq!(gate, "p99>5", "a bare number is seconds, as everywhere"),
            Err(error) => assert!(error.to_string().contains(example), "{gate}: {error}"),
        }
    }
}

/// Checks a gate against a change from 1 ms, 100/s and no error to 1.5 ms, 90/s and 1 % errors.
fn check_change(gate: &str) -> GateResult {
    let (mut slow, mut fast) = (Latency::default(), Latency::default());
    fast.record(Duration::from_millis(1), 1);
    slow.record(Duration::from_micros(1_500), 1);
    let nothing = Latency::default();
    let measured = |reply, replies_per_s, errors| Measurements {
        reply,
        connect: &nothing,
        handshake: None,
        first_byte: &nothing,
        correct: 100 - errors,
        errors,
        replies_per_s,
        connections: 5,
    };
    let gate: Gate = gate.parse().expect(gate);
    gate.check_change(&measured(&fast, 100.0, 0), &measured(&slow, 90.0, 1))
}

#[test]
fn a_signed_gate_checks_a_change() {
    for (gate, crossed) in [
        ("p99>+49%", true),
        ("p99>+51%", false),
        ("p99>+400us", true),
        ("p99>+600us", false),
        ("rate<-9%", true),
        ("rate<-11%", false),
        ("rate<-9", true),
        ("errors>+0.5%", true),
        ("errors>+2%", false),
        ("errors>+0", true),
        ("connections<-0%", false),
        ("p99>1ms", true),
        ("p99>2ms", false),
        ("connect_p99>+1%", true),
    ] {
        assert_eq!(check_change(gate).crossed, crossed, "{gate}: {:?}", check_change(gate));
    }
    // A histogram has three digits, so the change is 49.9 % or 50.0 %.
    let measured = check_change("p99>+10%").measured;
    assert!(
        measured.starts_with("+") && measured.ends_with(" %, 1.00 ms to 1.50 ms"),
        "{measured}"
    );
    assert_eq!(check_change("p99>+1ms").measured, "1.00 ms to 1.50 ms");
    for wrong in ["p99>+-1%", "p99>++1%", "p99>+%", "rate<-x%", "p99>10%", "errors>+101%"] {
        assert!(wrong.parse::<Gate>().is_err(), "{wrong}");
    }
    assert!("p99>+1%".parse::<Gate>().is_ok_and(|gate| gate.is_of_comparison()));
}

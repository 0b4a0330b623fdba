//! Whole suites that run again over TLS.

use crate::support::certificates::Files;
use crate::support::encrypted::{FILES, VERSION};
use std::env;
use std::process::{Command, Stdio};

/// Modules of this program whose tests check only the bytes that the server sends to its peers.
const SUITES: [&str; 8] = [
    "half_close",
    "oversize",
    "pipelining",
    "slow_readers",
    "wire_binary",
    "wire_chat",
    "wire_echo",
    "wire_text",
];

/// Runs every suite in a new process, in which servers and peers use TLS.
fn check_suites(version: &str) {
    let files = Files::new(version);
    let mut tests = Command::new(env::current_exe().expect("this program"));
    tests.args(SUITES.map(|suite| format!("{suite}::")));
    tests.env(FILES, files.path("")).env(VERSION, version).stdin(Stdio::null());
    let output = tests.output().expect("run the tests");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}\nover TLS {version}");
}

#[test]
#[ignore = "takes minutes: .ci/run does it"]
fn all_suites_of_the_wire_hold_over_tls_1_3() {
    check_suites("1.3");
}

#[test]
#[ignore = "takes minutes: .ci/run does it"]
fn all_suites_of_the_wire_hold_over_tls_1_2() {
    check_suites("1.2");
}

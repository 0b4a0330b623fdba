//! Whole suites that run again, with a server whose reads and writes are cut short and whose calls
//! are interrupted.
//!
//! The faults follow from a seed, which `TINYTCP_SEED` sets and a failure prints. The calls that
//! they hit depend on the timing.
//! what happens does not.

use crate::alone;
use crate::support::cargo::forget_this_package;
use crate::support::server::{PRELOAD, Server, listen_flags, program};
use std::env;
use std::ffi::OsString;
use std::fs;
use std::io::{Write, stderr};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Modules of `tests/it` that start the server as a program and check the bytes that it sends.
/// Modules that depend on the sizes of its reads and writes, such as `fairness`, are not among
/// them.
const SUITES: [&str; 19] = [
    "activity_log",
    "capacity",
    "deadlines",
    "half_close",
    "lingering",
    "memory",
    "oversize",
    "pipelining",
    "protocol_md",
    "resets",
    "shutdown",
    "sinks",
    "slow_readers",
    "stops",
    "tls",
    "wire_binary",
    "wire_chat",
    "wire_echo",
    "wire_text",
];

/// Tests whose scenario does not exist under these faults, each with the reason.
const LEFT_OUT: [&str; 2] = [
    // It stops the server at its first byte, and reads the bytes that one write has passed to the
    // kernel by then.
    "a_server_that_overslept_writes_before_it_times_out_a_reader",
    // It measures the processor time of an idle server, and a thousand signals a second keep it
    // busy.
    "while_descriptors_are_exhausted_the_server_does_not_spin",
];

/// The compiled library, and the file with its counts.
struct Shim {
    library: PathBuf,
    counts: PathBuf,
    faults: &'static str,
    seed: u64,
}

impl Shim {
    fn new(faults: &'static str) -> Self {
        const SEED: u64 = 0x7469_6e79;
        let seed = env::var("TINYTCP_SEED")
            .map_or(SEED, |seed| seed.parse().expect("TINYTCP_SEED is a number"));
        let place =
            |kind| PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("shim-{faults}.{kind}"));
        let shim = Self { library: place("so"), counts: place("counts"), faults, seed };
        fs::write(&shim.counts, [0; 4 * size_of::<u64>()]).expect("a file for the counts");
        let mut compile = Command::new("cc");
        compile
            .args(["-shared", "-fPIC", "-O2", "-Wall", "-Wextra", "-Werror", "-o"])
            .arg(&shim.library);
        compile.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/faults/shim.c"));
        assert!(compile.status().expect("run cc").success(), "the library does not compile");
        shim
    }

    /// Returns the variables with which a server, or a suite of tests that start servers, runs
    /// under the library.
    fn variables(&self, library: &str) -> [(String, OsString); 4] {
        [
            (library.into(), self.library.clone().into()),
            ("SHIM_FAULTS".into(), self.faults.into()),
            ("SHIM_SEED".into(), self.seed.to_string().into()),
            ("SHIM_COUNTS".into(), self.counts.clone().into()),
        ]
    }

    /// Returns the counts so far: reads cut, writes cut, calls interrupted, signals taken.
    fn counts(&self) -> [u64; 4] {
        let bytes = fs::read(&self.counts).expect("the counts");
        let mut counts = bytes.chunks_exact(size_of::<u64>());
        std::array::from_fn(|_| {
            u64::from_ne_bytes(counts.next().and_then(|count| count.try_into().ok()).expect("four"))
        })
    }
}

/// Runs every suite under the library. Cargo finds the suites. In a run of all tests it has built
/// them already.
fn check_suites(faults: &'static str) {
    let _alone = alone();
    let shim = Shim::new(faults);
    let mut tests = Command::new(env::var_os("CARGO").expect("cargo runs the tests"));
    forget_this_package(&mut tests);
    tests.args(["test", "--offline", "--no-fail-fast"]).current_dir(env!("CARGO_MANIFEST_DIR"));
    if !cfg!(debug_assertions) {
        tests.arg("--release");
    }
    if !cfg!(feature = "client") || !cfg!(feature = "load") {
        tests.args(["--no-default-features", "--features", "server,tls"]);
    }
    tests.args(["--test", "it", "--"]).args(SUITES.map(|suite| format!("{suite}::")));
    tests.args(LEFT_OUT.iter().flat_map(|test| ["--skip", test]));
    tests.envs(shim.variables(PRELOAD)).stdin(Stdio::null());
    let output = tests.output().expect("run cargo");
    let [reads, writes, interruptions, signals] = shim.counts();
    let said = String::from_utf8_lossy(&output.stdout);
    let replay =
        format!("TINYTCP_SEED={} cargo test --test faults -- --ignored preloaded", shim.seed);
    assert!(output.status.success(), "{said}\nunder {faults}; to try it again: {replay}");
    // Written to the log of a run that passes too, unlike the output of a test, which is captured.
    let passed = said.lines().filter(|line| line.ends_with(" ... ok")).count();
    let _ = writeln!(
        stderr(),
        "{faults}: {passed} tests passed with {reads} reads and {writes} writes cut short, \
         {interruptions} calls interrupted, {signals} signals"
    );
}

#[test]
#[ignore = "needs cc, and runs 19 suites: .ci/run does"]
fn everything_holds_when_reads_and_writes_are_cut_short() {
    check_suites("short");
}

#[test]
#[ignore = "needs cc, and runs 19 suites: .ci/run does"]
fn everything_holds_when_one_call_in_four_is_interrupted() {
    check_suites("eintr");
}

#[test]
#[ignore = "needs cc, and runs 19 suites: .ci/run does"]
fn everything_holds_with_short_calls_interruptions_and_signals() {
    check_suites("short,eintr,alarm");
}

#[test]
#[ignore = "needs cc: .ci/run installs it"]
fn the_library_cuts_and_interrupts_the_server_that_is_shipped() {
    let _alone = alone();
    let shim = Shim::new("short,eintr,alarm");
    let mut command = program();
    command.args(listen_flags()).envs(shim.variables("LD_PRELOAD"));
    let server = Server::launch(command);
    let mut peer = server.text();
    for _ in 0..100 {
        let line = [b"ECHO ", [b'x'; 30_000].as_slice(), b"\n"].concat();
        peer.send(&line);
        peer.expect(&line);
    }
    assert!(
        shim.counts().into_iter().all(|count| count > 0),
        "nothing happened: {:?}",
        shim.counts()
    );
}

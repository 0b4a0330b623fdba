//! Programs with fixed ports. Each test has its own network, in which no connection of another
//! program has one of the ports.

mod support;

use nix::sched::{CloneFlags, unshare};
use std::path::Path;
use std::process::{Command, Stdio};
use support::BANNER;
use support::cargo::forget_this_package;
use support::peer::Peer;
use support::program::{PrintedLines, finish_child};
use support::server::{Server, program};

/// Moves this thread, and the programs that it starts, into a new network namespace.
fn enter_own_network() {
    unshare(CloneFlags::CLONE_NEWNET).expect("root may make a network");
    let status = Command::new("ip").args(["link", "set", "lo", "up"]).status();
    assert!(status.expect("run ip").success(), "there is no loopback");
}

#[test]
#[ignore = "needs root and iproute2: .ci/run has them"]
fn without_flags_the_four_protocols_listen_on_both_loopbacks() {
    enter_own_network();
    let server = Server::launch_listening(program(), 8);
    let mut lines = server.printed.text();
    lines.sort();
    let hosts = ["127.0.0.1", "[::1]"];
    let ports = [("binary", 65432), ("chat", 9999), ("echo", 8888), ("text", 40000)];
    let expected: Vec<String> = ports
        .iter()
        .flat_map(|(protocol, port)| {
            hosts.map(|host| format!("listening on {protocol}://{host}:{port}"))
        })
        .collect();
    assert_eq!(lines, expected);
    Peer::connect("127.0.0.1:40000".parse().expect("an address")).expect(BANNER);
    Peer::connect("[::1]:40000".parse().expect("an address")).expect(BANNER);
}

#[test]
#[ignore = "needs root and iproute2: .ci/run has them"]
fn an_example_prints_its_address_logs_and_stops_on_a_signal() {
    // Cargo builds examples for a run of all tests, and not for a single test program.
    let profile = if cfg!(debug_assertions) { "dev" } else { "release" };
    let mut build = Command::new(env!("CARGO"));
    forget_this_package(&mut build);
    build.args(["build", "--quiet", "--locked", "--examples", "--profile", profile]);
    assert!(build.status().expect("run cargo").success(), "the examples do not compile");
    let programs = Path::new(env!("CARGO_BIN_EXE_tinytcp-server"))
        .parent()
        .expect("a folder")
        .join("examples");
    enter_own_network();
    for (name, signal) in [
        ("calc", libc::SIGTERM),
        ("chargen", libc::SIGINT),
        ("shout", libc::SIGTERM),
        ("status", libc::SIGINT),
        ("whoami", libc::SIGTERM),
    ] {
        let mut command = Command::new(programs.join(name));
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).env_remove("RUST_LOG");
        let mut child = command.spawn().expect("it was built");
        let mut lines = PrintedLines::of(child.stdout.take().expect("piped"));
        let line = lines.next().expect("a line");
        assert!(
            line.starts_with("listening on ") && line.contains("://127.0.0.1:40"),
            "{name}: {line:?}"
        );
        let id = nix::unistd::Pid::from_raw(child.id().cast_signed());
        let signal = nix::sys::signal::Signal::try_from(signal).expect("a signal");
        nix::sys::signal::kill(id, signal).expect("it runs");
        let ended = finish_child(child);
        assert_eq!(ended.code, Some(0), "{name}: {ended:?}");
        ended.saying("stopping").saying("stopped: 0 connections");
    }
}

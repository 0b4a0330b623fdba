//! Programs whose ports are fixed, in a test program of their own: no connection of another test
//! has one of the ports.

mod support;

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};
use support::BANNER;
use support::peer::Peer;
use support::server::{Server, program};

/// Waits until each port can be listened on. The system may have given one to an outgoing
/// connection of another test, and keeps it for a minute after that was closed.
fn wait_until_free(ports: &[u16]) {
    let deadline = Instant::now() + Duration::from_secs(100);
    for port in ports {
        while let Err(error) =
            tinytcp_core::os::listen::listen(([127, 0, 0, 1], *port).into(), 1, None, false)
        {
            assert!(Instant::now() < deadline, "port {port} is never free: {error}");
            thread::sleep(Duration::from_millis(100));
        }
    }
}

#[test]
#[ignore = "needs the default ports: .ci/run has them free"]
fn without_flags_the_four_protocols_listen_on_both_loopbacks() {
    wait_until_free(&[40000, 65432, 8888, 9999]);
    let mut server = Server::launch_only(program());
    server.read_addresses(8);
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
#[ignore = "needs the ports of the examples: .ci/run has them free after a minute"]
fn an_example_prints_its_address_logs_and_stops_on_a_signal() {
    // Cargo builds examples for a run of all tests, and not for one of these alone.
    let profile = if cfg!(debug_assertions) { "dev" } else { "release" };
    let mut build = Command::new(env!("CARGO"));
    build.args(["build", "--quiet", "--locked", "--examples", "--profile", profile]);
    assert!(build.status().expect("run cargo").success(), "the examples do not compile");
    let programs = Path::new(env!("CARGO_BIN_EXE_tinytcp-server"))
        .parent()
        .expect("a folder")
        .join("examples");
    for (name, signal) in [
        ("calc", libc::SIGTERM),
        ("chargen", libc::SIGINT),
        ("shout", libc::SIGTERM),
        ("status", libc::SIGINT),
        ("whoami", libc::SIGTERM),
    ] {
        // A connection that another program has closed may hold the port of the example for a
        // minute.
        let deadline = Instant::now() + Duration::from_secs(90);
        let (child, _stdout, line) = loop {
            let mut command = Command::new(programs.join(name));
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).env_remove("RUST_LOG");
            let mut child = command.spawn().expect("it was built");
            let mut line = String::new();
            let mut stdout = BufReader::new(child.stdout.take().expect("piped"));
            stdout.read_line(&mut line).expect("text");
            if !line.is_empty() || Instant::now() > deadline {
                break (child, stdout, line);
            }
            child.wait().expect("it ends");
            thread::sleep(Duration::from_millis(500));
        };
        assert!(
            line.starts_with("listening on ") && line.contains("://127.0.0.1:40"),
            "{name}: {line:?}"
        );
        let id = nix::unistd::Pid::from_raw(child.id().cast_signed());
        let signal = nix::sys::signal::Signal::try_from(signal).expect("a signal");
        nix::sys::signal::kill(id, signal).expect("it runs");
        let output = child.wait_with_output().expect("it ends");
        assert_eq!(output.status.code(), Some(0), "{name}: {output:?}");
        let log = String::from_utf8(output.stderr).expect("text");
        assert!(
            log.contains("stopping") && log.contains("stopped: 0 connections"),
            "{name}: {log}"
        );
    }
}

//! The client and the generator use no default port for an outgoing connection, even if the system
//! chooses one.
#![cfg(all(feature = "client", feature = "load"))]

use std::process::{Command, Output};

/// Runs `script`, which finds our programs in its environment, in a new network namespace.
fn run_in_a_namespace(script: &str) -> Output {
    let mut command = Command::new("unshare");
    command.args(["--net", "bash", "-c", script]);
    command.env("SERVER", env!("CARGO_BIN_EXE_tinytcp-server"));
    command.env("CLIENT", env!("CARGO_BIN_EXE_tinytcp-client"));
    command.env("LOAD", env!("CARGO_BIN_EXE_tinytcp-load"));
    command.output().expect("run unshare")
}

/// Runs in a new network namespace with only three free ports. The middle one is a default port.
const SCRIPT: &str = r#"
ip link set lo up
echo '39999 40001' > /proc/sys/net/ipv4/ip_local_port_range
exec 3< <("$SERVER" --listen text://127.0.0.1:5555 --activity-log off 2> /dev/null)
trap 'kill $!' EXIT
read -r _ <&3
run() { timeout 20 "$@" > /dev/null 2>&1; grep -c ' 0100007F:9C40 ' /proc/net/tcp; }
for try in 1 2 3 4; do run "$CLIENT" text://127.0.0.1:5555 -e TIME; done
run "$LOAD" text://127.0.0.1:5555 --lifetime 1 -c 1 -d 200ms
run "$LOAD" text://127.0.0.1:5555 --source 127.0.0.1 --lifetime 1 -c 1 -d 200ms
"#;

#[test]
#[ignore = "needs root and iproute2: .ci/run has them"]
fn no_outgoing_connection_of_a_program_has_a_default_port() {
    let output = run_in_a_namespace(SCRIPT);
    let connections = String::from_utf8(output.stdout).expect("numbers");
    assert_eq!(
        connections,
        "0\n".repeat(6),
        "port 40000 was taken: {}",
        output.stderr.escape_ascii()
    );
}

/// The same, for more connections one after the other than there are ports. It prints the
/// connections that the server has accepted, and those that the generator has begun.
const CROWDED_SCRIPT: &str = r#"
ip link set lo up
echo '39999 40001' > /proc/sys/net/ipv4/ip_local_port_range
log=$(mktemp)
trap 'rm -f "$log"' EXIT
exec 3< <(exec "$SERVER" --listen text://127.0.0.1:5555 --activity-log off 2> "$log")
server=$!
read -r _ <&3
timeout 20 "$LOAD" text://127.0.0.1:5555 --lifetime 1 -c 1 -d 500ms -q --json - |
    grep -o '"begun_count": *[0-9]*'
kill "$server"
cat <&3
grep -o 'stopped: [0-9]*' "$log"
"#;

#[test]
#[ignore = "needs root and iproute2: .ci/run has them"]
fn a_connection_that_is_given_up_for_its_port_counts_as_begun() {
    let output = run_in_a_namespace(CROWDED_SCRIPT);
    let printed = String::from_utf8(output.stdout.clone()).expect("text");
    let number = |label: &str| {
        let line = printed
            .lines()
            .find_map(|line| line.strip_prefix(label))
            .unwrap_or_else(|| panic!("{output:?}"));
        line.trim().parse::<u64>().expect("a number")
    };
    let (begun, accepted) = (number("\"begun_count\":"), number("stopped:"));
    assert!(accepted > 2, "two found a port, and one was given that of a server: {output:?}");
    assert!(accepted <= begun, "{output:?}");
}

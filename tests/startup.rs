//! The command line: what starts, what is printed, and what one line says when nothing starts.

mod support;

use std::net::{TcpListener, TcpStream};
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};
use support::BANNER;
use support::peer::Peer;
use support::server::{Server, listen_flags, program, program_under};

/// Runs the server to its end, which is expected to come by itself.
fn run(command: &mut Command) -> Output {
    command.stdin(Stdio::null()).output().expect("run the server")
}

/// Exit code, nothing on stdout, and one line on stderr that holds every one of `parts`.
#[track_caller]
fn check_failure(command: &mut Command, code: i32, parts: &[&str]) {
    let output = run(command);
    let said = String::from_utf8(output.stderr).expect("messages are UTF-8");
    assert_eq!(output.status.code(), Some(code), "{said}");
    assert!(output.stdout.is_empty(), "stdout: {}", output.stdout.escape_ascii());
    assert_eq!(said.lines().count(), 1, "one line, not:\n{said}");
    assert!(said.ends_with('\n'), "the line has an end: {said:?}");
    for part in parts {
        assert!(said.contains(part), "{part:?} is not in: {said}");
    }
    assert!(!said.contains("panicked"), "{said}");
}

/// Wrong usage: exit 2, and the line names what was wrong and shows what is right.
#[track_caller]
fn check_usage(flags: &[&str], wrong: &str, example: &str) {
    check_failure(program().args(listen_flags()).args(flags), 2, &[wrong, example]);
}

/// Waits until each port can be listened on. The system may have given one to an outgoing connection of another test, and
/// keeps it for a minute after that was closed.
fn wait_until_free(ports: &[u16]) {
    let deadline = Instant::now() + Duration::from_secs(100);
    for port in ports {
        while let Err(error) = tinytcp::base::listen::listen(([127, 0, 0, 1], *port).into(), 1, None) {
            assert!(Instant::now() < deadline, "port {port} is never free: {error}");
            thread::sleep(Duration::from_millis(100));
        }
    }
}

#[test]
fn a_port_in_use_is_one_line_and_exit_1() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("any port");
    let url = format!("text://{}", taken.local_addr().expect("a bound socket has an address"));
    check_failure(program().args(["--listen", &url]), 1, &[&url, "in use"]);
}

#[test]
fn a_port_that_another_server_holds_is_in_use() {
    let server = Server::start(&[]);
    let url = format!("echo://{}", server.address("text"));
    let parts = [url.as_str(), "in use", "another program listens there: stop it", "--listen"];
    check_failure(program().args(["--listen", &url]), 1, &parts);
}

/// A connection from a port of its own, as a client makes it, and the end that accepted it.
fn outgoing_connection() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.83.71.9:0").expect("any port");
    let client = TcpStream::connect(listener.local_addr().expect("bound")).expect("it listens");
    let (accepted, _) = listener.accept().expect("it is there");
    (client, accepted)
}

#[test]
fn a_port_that_an_outgoing_connection_has_is_told_from_that_of_a_program() {
    let (client, _accepted) = outgoing_connection();
    let url = format!("text://{}", client.local_addr().expect("connected"));
    let parts = [url.as_str(), "no program listens there", "an outgoing connection has the port", "within 60 s"];
    check_failure(program().args(["--listen", &url]), 1, &parts);
}

#[test]
fn a_port_that_a_closed_connection_has_left_is_said_to_be_free_in_a_minute() {
    let (client, accepted) = outgoing_connection();
    let addr = client.local_addr().expect("connected");
    // The end that closes first keeps its port.
    drop(client);
    drop(accepted);
    support::wait::wait_until("the connection is closed", || {
        tinytcp::base::port_holder::find(addr) == Some(tinytcp::base::port_holder::Holder::ClosedConnection)
    });
    let url = format!("text://{addr}");
    check_failure(program().args(["--listen", &url]), 1, &[&url, "no program listens there", "free within 60 s; wait"]);
}

#[test]
fn two_listeners_with_one_address_are_named_and_no_program_is_blamed() {
    let urls = ["--listen", "text://127.83.71.4:4000", "--listen", "echo://127.83.71.4:4000"];
    let parts =
        ["echo://127.83.71.4:4000", "another listener of this server has 127.83.71.4:4000", "each address once"];
    check_failure(program().args(urls), 1, &parts);
    let everywhere = ["--listen", "text://0.0.0.0:4000", "--listen", "text://127.83.71.4:4000"];
    check_failure(program().args(everywhere), 1, &["another listener of this server has 0.0.0.0:4000"]);
}

#[test]
fn an_address_to_which_no_connection_can_come_is_refused_with_one_that_works() {
    for (url, advice) in [
        ("text://[::ffff:127.0.0.1]:4000", "write it as text://127.0.0.1:4000"),
        ("chat://[fe80::1]:4000", "chat://[fe80::1%eth0]:4000"),
        ("echo://224.0.0.1:4000", "multicast"),
        ("echo://[ff02::1]:4000", "multicast"),
    ] {
        check_failure(program().args(["--listen", url]), 1, &[url, advice]);
    }
}

#[test]
fn of_the_default_listeners_those_that_can_be_had_start_and_the_rest_are_warned_of() {
    let taken = TcpListener::bind("127.83.71.2:9999").expect("nothing else uses this address");
    let mut command = program();
    command.args(["--host", "127.83.71.2"]);
    let mut server = Server::launch_only(command);
    server.read_addresses(3);
    server.wait_for_log(&["WARN", "chat://127.83.71.2:9999", "another program listens there"]);
    server.text();
    drop(server);
    drop(taken);
}

#[test]
fn when_no_default_listener_can_be_had_the_first_one_is_named_in_one_line() {
    let ports = [40000, 65432, 8888, 9999];
    let _taken = ports.map(|port| TcpListener::bind(("127.83.71.6", port)).expect("nothing else uses this address"));
    check_failure(program().args(["--host", "127.83.71.6"]), 1, &["text://127.83.71.6:40000", "another program"]);
}

#[test]
fn every_listener_is_printed_however_many_there_are() {
    const LISTENERS: usize = 1500;
    rlimit::increase_nofile_limit(20_000).expect("descriptors for the server, which inherits the limit");
    let mut command = program();
    command.args((0..LISTENERS).flat_map(|_| ["--listen", "text://127.83.71.5:0"]));
    let mut server = Server::launch_only(command);
    server.read_addresses(LISTENERS);
    server.text();
}

#[test]
fn a_limit_of_files_that_leaves_none_for_a_connection_is_one_line_and_exit_1() {
    for limit in 8..=12 {
        let mut command = program_under(&["prlimit", &format!("--nofile={limit}")]);
        command.args(["--listen", "text://127.0.0.1:0", "-q"]);
        let mut server = Server::launch_only(command);
        support::wait::wait_until("it starts or ends", || !server.printed.raw().is_empty() || !server.is_running());
        if server.is_running() {
            server.read_addresses(1);
            server.text();
            assert!(limit > 9, "it starts with {limit} descriptors");
            continue;
        }
        assert_eq!(server.wait_for_exit().code(), Some(1), "{limit}");
        let said = server.log.text();
        assert_eq!(said.len(), 1, "{said:#?}");
        assert!(said[0].contains("open files") && said[0].contains("ulimit -n"), "{said:#?}");
    }
}

#[test]
fn flags_that_contradict_each_other_are_exit_2_with_what_to_do() {
    let loopback = ["--listen", "text://127.0.0.1:0"];
    check_failure(program().args(loopback).args(["--host", "127.0.0.1"]), 2, &["--host", "--listen", "leave one"]);
    check_failure(program().args(loopback).env("TINYTCP_HOST", "127.0.0.1"), 2, &["TINYTCP_HOST", "leave one"]);
    check_failure(program().args(["-v", "-q"]), 2, &["-v", "-q", "leave one"]);
    check_failure(program().args(["--port", "4001"]), 2, &["--listen text://127.0.0.1:4001"]);
    check_failure(program().args(["-p4001"]), 2, &["--listen text://127.0.0.1:4001"]);
}

/// A server under a value of `TZ`.
fn in_zone(zone: &str) -> Server {
    let mut command = program();
    command.args(listen_flags()).env("TZ", zone);
    Server::launch(command)
}

#[test]
fn a_zone_that_the_c_library_understands_is_understood() {
    for (zone, offset) in
        [("CET-1CEST", ["+01:00", "+02:00"]), ("IST-2IDT,M3.4.4/26,M10.5.0", ["+02:00", "+03:00"]), ("", ["+00:00"; 2])]
    {
        let server = in_zone(zone);
        let mut peer = server.text();
        peer.send("TIME\n");
        let answer = peer.read_line();
        assert!(offset.iter().any(|offset| answer.ends_with(&format!("{offset}\n"))), "{zone}: {answer}");
        assert_eq!(server.log.find(&["WARN"]), None, "{zone}");
    }
}

#[test]
fn a_zone_that_does_not_exist_is_warned_of() {
    let server = in_zone("Europe/Nowhere");
    server.wait_for_log(&["WARN", "TZ=Europe/Nowhere", "UTC"]);
}

#[test]
fn an_unknown_host_is_one_line_and_exit_1() {
    check_failure(program().args(["--listen", "text://no-such-host.invalid:0"]), 1, &["no-such-host.invalid"]);
}

#[test]
fn an_address_of_another_machine_is_one_line_and_exit_1() {
    // From the block that RFC 5737 keeps for documentation: it is never ours.
    check_failure(program().args(["--listen", "text://192.0.2.1:0"]), 1, &["192.0.2.1"]);
}

#[test]
fn one_listener_that_cannot_be_had_stops_the_start() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("any port");
    let url = format!("chat://{}", taken.local_addr().expect("a bound socket has an address"));
    // The others may have been announced by then, or not; but nothing stays behind.
    let output = run(program().args(listen_flags()).args(["--listen", &url]));
    assert_eq!(output.status.code(), Some(1), "{}", output.stderr.escape_ascii());
}

#[test]
fn a_flag_that_does_not_exist_is_exit_2() {
    check_usage(&["--no-such-flag"], "--no-such-flag", "--help");
}

#[test]
fn an_argument_that_is_no_flag_is_exit_2() {
    check_usage(&["start"], "start", "--help");
}

#[test]
fn a_flag_without_its_value_is_exit_2() {
    check_usage(&["--max-line"], "--max-line", "64KiB");
}

#[test]
fn a_bad_url_is_exit_2_with_an_example() {
    for url in ["nonsense", "text:127.0.0.1:1", "text://", "text://127.0.0.1:65536", "text://127.0.0.1:x"] {
        check_usage(&["--listen", url], url, "text://127.0.0.1:40000");
    }
}

#[test]
fn a_protocol_that_does_not_exist_is_exit_2_and_names_those_that_do() {
    check_failure(program().args(["--listen", "smtp://127.0.0.1:0"]), 2, &["smtp", "text", "binary", "echo", "chat"]);
}

#[test]
fn a_bad_size_is_exit_2_with_an_example() {
    for flag in ["--max-line", "--max-frame", "--memory-limit"] {
        for size in ["64k", "0", "many", "1.5MiB"] {
            check_usage(&[flag, size], size, "64KiB");
        }
    }
}

#[test]
fn a_bad_duration_is_exit_2_with_an_example() {
    for flag in ["--idle-timeout", "--message-timeout", "--write-timeout", "--quiet-period", "--drain-timeout"] {
        for duration in ["5 days", "soon", "20MS"] {
            check_usage(&[flag, duration], duration, "20ms");
        }
    }
}

#[test]
fn a_timeout_of_zero_is_refused_with_the_word_for_none() {
    for flag in ["--idle-timeout", "--message-timeout", "--write-timeout"] {
        check_usage(&[flag, "0"], flag, "off");
    }
}

#[test]
fn a_bad_count_is_exit_2_with_an_example() {
    for flag in ["--max-connections", "--backlog", "--activity-log"] {
        for count in ["0", "some", "1.5k"] {
            check_usage(&[flag, count], count, "10k");
        }
    }
}

#[test]
fn a_bad_variable_is_exit_2_and_one_line_too() {
    check_failure(program().env("TINYTCP_MAX_LINE", "64k"), 2, &["64k", "64KiB"]);
}

#[test]
fn help_is_on_stdout_short_and_long() {
    let help = |flag| {
        let output = run(program().arg(flag));
        assert_eq!(output.status.code(), Some(0), "{flag}");
        assert!(output.stderr.is_empty(), "{flag}: {}", output.stderr.escape_ascii());
        String::from_utf8(output.stdout).expect("help is UTF-8")
    };
    let (short, long) = (help("-h"), help("--help"));
    assert!(short.lines().count() < long.lines().count(), "-h is the short one");
    let place = |text: &str| long.find(text).unwrap_or_else(|| panic!("no {text:?} in:\n{long}"));
    assert!(place("tinytcp-server --") < place("--listen <"), "examples come first:\n{long}");
    for flag in FLAGS {
        assert!(long.contains(flag), "{flag} is not in:\n{long}");
        assert!(short.contains(flag), "{flag} is not in:\n{short}");
    }
}

const FLAGS: [&str; 14] = [
    "--listen",
    "--host",
    "--max-connections",
    "--max-line",
    "--max-frame",
    "--memory-limit",
    "--idle-timeout",
    "--message-timeout",
    "--write-timeout",
    "--quiet-period",
    "--drain-timeout",
    "--backlog",
    "--activity-log",
    "--version",
];

#[test]
fn the_help_says_how_a_flag_is_written_as_a_variable() {
    for flag in ["-h", "--help"] {
        let help = String::from_utf8(run(program().arg(flag)).stdout).expect("help is UTF-8");
        assert!(help.contains("TINYTCP_"), "no variable in:\n{help}");
    }
}

#[test]
fn every_flag_is_a_variable_too() {
    for flag in FLAGS.iter().filter(|flag| !matches!(**flag, "--version" | "--host")) {
        let variable = format!("TINYTCP_{}", flag.trim_start_matches('-').replace('-', "_").to_uppercase());
        // Nothing takes this for a value, so that whoever reads it says so.
        check_failure(program().env(&variable, "no!such!value"), 2, &["no!such!value"]);
    }
}

#[test]
fn the_version_is_one_line_on_stdout() {
    let output = run(program().arg("--version"));
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(output.stdout, concat!("tinytcp-server ", env!("CARGO_PKG_VERSION"), "\n").as_bytes());
    assert!(output.stderr.is_empty());
}

#[test]
fn a_variable_is_as_good_as_its_flag() {
    let mut command = program();
    command.env("TINYTCP_LISTEN", "text://127.0.0.1:0").env("TINYTCP_MAX_LINE", "16");
    let mut server = Server::launch_only(command);
    server.read_addresses(1);
    let mut peer = server.text();
    peer.send("ECHO 6789012345678\n");
    peer.expect("ERROR LINE_TOO_LONG\n");
}

#[test]
fn every_flag_takes_what_the_help_says() {
    let flags = [
        ["--max-connections", "2k"],
        ["--max-line", "64 KiB"],
        ["--max-frame", "16MB"],
        ["--memory-limit", "1GiB"],
        ["--idle-timeout", "1h"],
        ["--message-timeout", "off"],
        ["--write-timeout", "30"],
        ["--quiet-period", "200us"],
        ["--drain-timeout", "1.5s"],
        ["--backlog", "10k"],
        ["--activity-log", "off"],
    ];
    Server::start(flags.as_flattened()).text();
}

#[test]
fn a_flag_wins_over_its_variable() {
    let mut command = program();
    command.args(listen_flags()).args(["--max-line", "20"]).env("TINYTCP_MAX_LINE", "16");
    let server = Server::launch(command);
    let mut peer = server.text();
    peer.send("ECHO 678901234567890\n");
    peer.expect("ECHO 678901234567890\n");
}

#[test]
fn port_0_picks_a_port_and_prints_it() {
    let server = Server::start(&[]);
    for protocol in support::PROTOCOLS {
        assert_ne!(server.address(protocol).port(), 0);
        drop(server.connect(protocol));
    }
}

#[test]
fn several_listeners_may_speak_the_same_protocol() {
    let mut command = program();
    command.args(["--listen", "text://127.0.0.1:0", "--listen", "text://127.0.0.1:0"]);
    let mut server = Server::launch_only(command);
    server.read_addresses(2);
    for line in server.printed.text() {
        let address = line.strip_prefix("listening on text://").expect("a listener for text");
        Peer::connect(address.parse().expect("a numeric address")).expect(BANNER);
    }
}

#[test]
fn a_listener_may_be_of_ipv6() {
    let mut command = program();
    command.args(["--listen", "text://[::1]:0"]);
    if TcpListener::bind("[::1]:0").is_err() {
        // A machine without IPv6: whoever asks for it by name is told.
        return check_failure(&mut command, 1, &["[::1]"]);
    }
    let mut server = Server::launch_only(command);
    server.read_addresses(1);
    assert!(server.printed.text()[0].starts_with("listening on text://[::1]:"));
    server.connect("text").expect(BANNER);
}

#[test]
fn a_host_may_be_a_name() {
    let mut command = program();
    command.args(["--listen", "text://localhost:0"]);
    let mut server = Server::launch_only(command);
    server.read_addresses(1);
    server.connect("text").expect(BANNER);
}

#[test]
fn host_moves_the_default_listeners() {
    // An address of the loopback that nothing else uses, so that the default ports are free there.
    let mut command = program();
    command.args(["--host", "127.83.71.1"]);
    let mut server = Server::launch_only(command);
    server.read_addresses(4);
    let mut lines = server.printed.text();
    lines.sort();
    assert_eq!(
        lines,
        [
            "listening on binary://127.83.71.1:65432",
            "listening on chat://127.83.71.1:9999",
            "listening on echo://127.83.71.1:8888",
            "listening on text://127.83.71.1:40000",
        ]
    );
    server.text();
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
        .flat_map(|(protocol, port)| hosts.map(|host| format!("listening on {protocol}://{host}:{port}")))
        .collect();
    assert_eq!(lines, expected);
    Peer::connect("127.0.0.1:40000".parse().expect("an address")).expect(BANNER);
    Peer::connect("[::1]:40000".parse().expect("an address")).expect(BANNER);
}

#[test]
fn stdout_carries_the_listening_lines_and_nothing_else() {
    let mut server = Server::start(&["-v"]);
    let mut peer = server.text();
    peer.send("ECHO hi\nNONSENSE\nQUIT\n");
    peer.read_to_end();
    drop(peer);
    server.process().signal("TERM");
    assert!(server.wait_for_exit().success());
    let mut protocols: Vec<String> = server
        .printed
        .text()
        .iter()
        .map(|line| line.strip_prefix("listening on ").expect("a listening line").to_owned())
        .map(|url| url.split_once("://127.0.0.1:").expect("a URL").0.to_owned())
        .collect();
    protocols.sort();
    assert_eq!(protocols, ["binary", "chat", "echo", "text"]);
}

#[test]
fn a_server_that_was_killed_leaves_its_port_free() {
    let mut server = Server::start(&[]);
    let url = format!("text://{}", server.address("text"));
    // Connections of the dead server linger in the kernel; they must not keep the port.
    let mut peer = server.text();
    peer.send("QUIT\n");
    peer.read_to_end();
    let held = server.text();
    server.process().signal("KILL");
    server.wait_for_exit();
    let mut command = program();
    command.args(["--listen", &url]);
    let mut next = Server::launch_only(command);
    next.read_addresses(1);
    next.text();
    drop(held);
}

//! The command line: valid flags, the output, and the one line of an error.

use crate::support::complaint::{check_failure, run};
use crate::support::server::{Server, listen_flags, program};

/// Checks wrong usage: exit code 2, and a line that names the fault and shows a valid example.
#[track_caller]
fn check_usage(flags: &[&str], wrong: &str, example: &str) {
    check_failure(program().args(listen_flags()).args(flags), 2, &[wrong, example]);
}

#[test]
fn flags_that_contradict_each_other_are_exit_2_with_what_to_do() {
    let loopback = ["--listen", "text://127.0.0.1:0"];
    check_failure(
        program().args(loopback).args(["--host", "127.0.0.1"]),
        2,
        &["--host", "--listen", "leave one"],
    );
    check_failure(
        program().args(loopback).env("TINYTCP_HOST", "127.0.0.1"),
        2,
        &["TINYTCP_HOST", "leave one"],
    );
    check_failure(program().args(["-v", "-q"]), 2, &["-v", "-q", "leave one"]);
    check_failure(program().args(["--port", "4001"]), 2, &["--listen text://127.0.0.1:4001"]);
    check_failure(program().args(["-p4001"]), 2, &["--listen text://127.0.0.1:4001"]);
}

/// Starts a server with a value of `TZ`.
fn in_zone(zone: &str) -> Server {
    let mut command = program();
    command.args(listen_flags()).env("TZ", zone);
    Server::launch(command)
}

#[test]
fn a_zone_that_the_c_library_understands_is_understood() {
    for (zone, offset) in [
        ("CET-1CEST", ["+01:00", "+02:00"]),
        ("IST-2IDT,M3.4.4/26,M10.5.0", ["+02:00", "+03:00"]),
        ("", ["+00:00"; 2]),
    ] {
        let server = in_zone(zone);
        let mut peer = server.text();
        peer.send("TIME\n");
        let answer = peer.read_line();
        assert!(
            offset.iter().any(|offset| answer.ends_with(&format!("{offset}\n"))),
            "{zone}: {answer}"
        );
        assert_eq!(server.log.find(&["WARN"]), None, "{zone}");
    }
}

#[test]
fn a_zone_that_does_not_exist_is_warned_of() {
    let server = in_zone("Europe/Nowhere");
    server.wait_for_log(&["WARN", "TZ=Europe/Nowhere", "UTC"]);
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
    for url in
        ["nonsense", "text:127.0.0.1:1", "text://", "text://127.0.0.1:65536", "text://127.0.0.1:x"]
    {
        check_usage(&["--listen", url], url, "text://127.0.0.1:40000");
    }
}

#[test]
fn an_unknown_protocol_is_exit_2_and_the_known_ones_are_named() {
    check_failure(
        program().args(["--listen", "smtp://127.0.0.1:0"]),
        2,
        &["smtp", "text", "binary", "echo", "chat"],
    );
}

#[test]
fn a_bad_size_is_exit_2_with_an_example() {
    for flag in ["--max-line", "--max-frame", "--memory-limit"] {
        for size in ["64k", "0", "many", "1.5B"] {
            check_usage(&[flag, size], size, "64KiB");
        }
    }
}

#[test]
fn a_bad_duration_is_exit_2_with_an_example() {
    for flag in [
        "--idle-timeout",
        "--message-timeout",
        "--write-timeout",
        "--quiet-period",
        "--drain-timeout",
    ] {
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
        for count in ["0", "some", "1.5"] {
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
        let ended = run(program().arg(flag));
        assert_eq!((ended.code, &ended.stderr[..]), (Some(0), ""), "{flag}");
        ended.text().to_owned()
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
fn the_help_shows_how_a_flag_is_written_as_a_variable() {
    for flag in ["-h", "--help"] {
        let help = run(program().arg(flag));
        assert!(help.text().contains("TINYTCP_"), "no variable in:\n{}", help.text());
    }
}

#[test]
fn every_flag_is_a_variable_too() {
    for flag in FLAGS.iter().filter(|flag| !matches!(**flag, "--version" | "--host")) {
        let variable =
            format!("TINYTCP_{}", flag.trim_start_matches('-').replace('-', "_").to_uppercase());
        // No flag accepts this value, so the program must report it for each flag that it reads.
        check_failure(program().env(&variable, "no!such!value"), 2, &["no!such!value"]);
    }
}

#[test]
fn the_version_is_one_line_on_stdout() {
    let ended = run(program().arg("--version"));
    assert_eq!((ended.code, &ended.stderr[..]), (Some(0), ""));
    assert_eq!(ended.text(), concat!("tinytcp-server ", env!("CARGO_PKG_VERSION"), "\n"));
}

#[test]
fn a_variable_is_as_good_as_its_flag() {
    let mut command = program();
    command.env("TINYTCP_LISTEN", "text://127.0.0.1:0").env("TINYTCP_MAX_LINE", "16");
    let server = Server::launch_listening(command, 1);
    let mut peer = server.text();
    peer.send("ECHO 6789012345678\n");
    peer.expect("ERROR LINE_TOO_LONG\n");
}

#[test]
fn every_flag_takes_what_the_help_shows() {
    let flags = [
        ["--max-connections", "2k"],
        ["--max-line", "64 KiB"],
        ["--max-frame", "16MB"],
        ["--memory-limit", "1.5GiB"],
        ["--idle-timeout", "1h"],
        ["--message-timeout", "off"],
        ["--write-timeout", "30"],
        ["--quiet-period", "200us"],
        ["--drain-timeout", "1.5s"],
        ["--backlog", "1.5k"],
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

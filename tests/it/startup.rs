//! The command line: valid flags, the output, and the one line of an error.

use crate::support::complaint::{check_failure, run};
use crate::support::help::{Flag, flags, help};
use crate::support::server::{Server, listen_flags, program};

const SERVER: &str = env!("CARGO_BIN_EXE_tinytcp-server");

/// Returns the flags whose value has this name in the help, such as `SIZE`.
#[track_caller]
fn flags_with(value: &str) -> Vec<Flag> {
    let mut flags = flags(&help(SERVER, "-h"));
    flags.retain(|flag| flag.value.as_deref() == Some(value));
    assert!(!flags.is_empty(), "no flag takes a {value}");
    flags
}

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
    for flag in flags_with("SIZE") {
        for size in ["64k", "0", "many", "1.5B"] {
            check_usage(&[&flag.name, size], size, "64KiB");
        }
    }
}

#[test]
fn a_bad_duration_is_exit_2_with_an_example() {
    for flag in flags_with("D") {
        for duration in ["5 days", "soon", "20MS"] {
            check_usage(&[&flag.name, duration], duration, "20ms");
        }
    }
}

#[test]
fn a_timeout_of_zero_is_refused_with_the_word_for_none() {
    for flag in flags_with("D") {
        check_usage(&[&flag.name, "0"], &flag.name, "off");
    }
}

#[test]
fn a_bad_count_is_exit_2_with_an_example() {
    for flag in flags_with("N") {
        for count in ["0", "some", "1.5"] {
            check_usage(&[&flag.name, count], count, "10k");
        }
    }
}

#[test]
fn a_bad_variable_is_exit_2_and_one_line_too() {
    check_failure(program().env("TINYTCP_MAX_LINE", "64k"), 2, &["64k", "64KiB"]);
}

#[test]
fn help_is_on_stdout_short_and_long() {
    let (short, long) = (help(SERVER, "-h"), help(SERVER, "--help"));
    assert!(short.lines().count() < long.lines().count(), "-h is the short one");
    let place = |text: &str| long.find(text).unwrap_or_else(|| panic!("no {text:?} in:\n{long}"));
    assert!(place("tinytcp-server --") < place("--listen <"), "examples come first:\n{long}");
    let [in_short, in_long] = [&short, &long]
        .map(|text| flags(text).into_iter().map(|flag| flag.name).collect::<Vec<_>>());
    assert!(in_long.len() > 20, "{in_long:?}");
    assert_eq!(in_short, in_long);
}

#[test]
fn the_help_shows_how_a_flag_is_written_as_a_variable() {
    for flag in ["-h", "--help"] {
        let help = help(SERVER, flag);
        assert!(help.contains("TINYTCP_"), "no variable in:\n{help}");
    }
}

/// The flags that select what the program does instead of serving.
const ACTIONS: [&str; 4] = ["--check", "--health", "--help", "--version"];

#[test]
fn every_flag_is_a_variable_too() {
    const VALUE: &str = "no!such!value";
    let mut flags = flags(&help(SERVER, "-h"));
    flags.retain(|flag| !ACTIONS.contains(&flag.name.as_str()));
    assert!(flags.len() > 20, "{} flags", flags.len());
    for variable in flags.iter().map(Flag::variable) {
        // The program refuses the value, or the variable without another one, or a check lists it.
        let ended = run(program().arg("--check").env(&variable, VALUE));
        let said = format!("{}{}", ended.text(), ended.stderr);
        assert!(said.contains(VALUE) || said.contains(&variable), "{variable} is not read: {said}");
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

/// Checks that each of `flags` takes each of `forms`.
#[track_caller]
fn check_forms(flags: &[Flag], forms: &[&str]) {
    for form in forms {
        let arguments = flags.iter().flat_map(|flag| [&flag.name, *form]);
        let ended = run(program().arg("--check").args(arguments));
        assert_eq!((ended.code, &ended.stderr[..]), (Some(0), ""), "{form}");
    }
}

#[test]
fn every_flag_with_a_number_takes_it_with_its_units() {
    check_forms(&flags_with("N"), &["2", "2k", "1.5k"]);
    check_forms(&flags_with("D"), &["30", "200us", "1.5s", "1h", "off"]);
    // A message to a room has 8 KiB at most, and the server needs 1 MiB at least.
    let (short, long): (Vec<_>, Vec<_>) =
        flags_with("SIZE").into_iter().partition(|flag| flag.name == "--say-max");
    check_forms(&short, &["4096", "1.5KiB", "2 KiB", "8kB"]);
    check_forms(&long, &["1048576", "1.5MiB", "2 MiB", "16MB"]);
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

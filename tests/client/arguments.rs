//! The command line: the errors of a wrong one, and the server of a right one.

use crate::originals;
use crate::runs::{client, finish, run};

#[test]
fn a_wrong_command_line_is_one_line_and_exit_code_2() {
    let cases: [(&[&str], &str); 26] = [
        (&["--timeout", "0"], "`off` for none"),
        (&["--timeout", "5 days"], "20ms"),
        (&["--wait", "off"], "durations look like"),
        (&["--max-line", "64k"], "64KiB"),
        (&["--max-line", "18446744073709551615", "test"], "1GiB"),
        (&["--max-frame", "99999999GiB", "test"], "1GiB"),
        (&["--max-frame", "1073741825", "test"], "1GiB"),
        (&["--protocol", "http"], "the protocols are text, binary, echo and chat"),
        (&["--no-such-flag"], "unexpected argument '--no-such-flag'"),
        (&["ftp://host"], "the protocols are text, binary, echo and chat"),
        (&["text://"], "text://127.0.0.1:40000"),
        (&["text://host:0"], "port 0"),
        (&["host", "port"], "ports are numbers from 1 to 65535"),
        (&["40000"], "'40000' looks like a port"),
        (&["text://127.0.0.1:40000/a/b"], "'/a/b' after host and port has no meaning here"),
        (&["127.0.0.1:40000/a/b"], "'/a/b' after host and port has no meaning here"),
        (&["--timeout", "-5"], "20ms"),
        (&["--wait", "-5s"], "durations look like"),
        (&["a", "b", "c"], "too many words"),
        (&["a", "1", "demo", "x"], "too many words"),
        (&["echo://host", "--protocol", "chat"], "leave one of them out"),
        (&["-e", "TIME", "demo"], "leave out one"),
        (&["test", "--only", "telnet"], "the suites are protocol and server"),
        (&["demo", "--only", "server"], "chooses a suite of `test`"),
        (&["-e", "TIME", "--only", "server"], "chooses a suite of `test`"),
        (&["host\nname:1\u{1b}"], r"host\nname"),
    ];
    for (arguments, part) in cases {
        run(arguments).ended_with(2).saying(part).printing("");
    }
}

#[test]
fn help_and_version_go_to_stdout() {
    let long = run(&["--help"]);
    assert!(long.ended_with(0).text().starts_with("Examples:\n"), "{long:?}");
    assert!(long.text().contains("Exit codes:"), "{long:?}");
    let short = run(&["-h"]);
    assert!(short.ended_with(0).text().len() < long.text().len(), "{short:?}");
    run(&["--version"]).ended_with(0).printing(concat!(
        "tinytcp-client ",
        env!("CARGO_PKG_VERSION"),
        "\n"
    ));
}

#[test]
fn a_target_may_have_several_forms() {
    let port = originals::echo().to_string();
    let answer = "Server received: hi\n";
    for target in [
        &[&format!("echo://127.0.0.1:{port}")[..]][..],
        &[&format!("ECHO://127.0.0.1:{port}/")],
        &["127.0.0.1", &port, "--protocol", "echo"],
        &["--protocol", "ECHO", &format!("127.0.0.1:{port}")],
    ] {
        run(&[target, &["-e", "hi"]].concat()).ended_with(0).printing(answer);
    }
}

#[test]
fn every_flag_is_an_environment_variable_too() {
    let mut command = client(&["127.0.0.1", &originals::binary().to_string()]);
    command.env("TINYTCP_PROTOCOL", "binary").env("TINYTCP_EXECUTE", "echo a\nrev bc");
    command.env("TINYTCP_TIMEOUT", "off").env("TINYTCP_WAIT", "5s");
    finish(command).ended_with(0).printing("a\ncb\n");
    let mut command = client(&["-e", "TIME"]);
    command.env("TINYTCP_MAX_FRAME", "1k");
    // The error names the variable: there is no flag.
    finish(command).ended_with(2).saying("'1k' for TINYTCP_MAX_FRAME: sizes");
    let mut command = client(&["-e", "TIME", "--max-frame", "2k"]);
    command.env("TINYTCP_MAX_LINE", "64KiB").env("TINYTCP_MAX_FRAME", "1k");
    finish(command).ended_with(2).saying("'2k' for '--max-frame <SIZE>'");
}

#[test]
fn an_empty_environment_variable_counts_as_unset() {
    let mut command = client(&["-e", "ECHO a", &format!("text://127.0.0.1:{}", originals::text())]);
    for flag in ["PROTOCOL", "EXECUTE", "TIMEOUT", "WAIT", "ONLY", "MAX_LINE", "MAX_FRAME"] {
        command.env(format!("TINYTCP_{flag}"), "");
    }
    finish(command).ended_with(0).printing("ECHO a\n");
    let port = originals::text();
    let mut command = client(&[&format!("text://127.0.0.1:{port}"), "demo"]);
    command.env("TINYTCP_EXECUTE", "");
    finish(command).ended_with(0);
}

#[test]
fn a_command_may_begin_with_a_hyphen() {
    let url = format!("echo://127.0.0.1:{}", originals::echo());
    run(&[&url, "-e", "-5", "-e", "--help", "--execute", "-> a"])
        .ended_with(0)
        .printing("Server received: -5\nServer received: --help\nServer received: -> a\n");
}

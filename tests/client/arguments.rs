//! The command line: what is said about a wrong one, and which server a right one means.

use crate::originals;
use crate::runs::{client, finish, run};

#[test]
fn a_wrong_command_line_is_one_line_and_exit_code_2() {
    let cases: [(&[&str], &str); 18] = [
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
        (&["a", "b", "c"], "too many words"),
        (&["a", "1", "demo", "x"], "unexpected"),
        (&["echo://host", "--protocol", "chat"], "leave one of them out"),
        (&["-e", "TIME", "demo"], "leave out one"),
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
    run(&["--version"]).ended_with(0).printing(concat!("tinytcp-client ", env!("CARGO_PKG_VERSION"), "\n"));
}

#[test]
fn host_and_port_and_protocol_come_in_every_form() {
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
    finish(command).ended_with(2).saying("--max-frame");
}

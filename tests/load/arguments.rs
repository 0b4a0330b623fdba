//! The command line: errors of wrong ones, and the meaning of correct ones.

use crate::runs::{Running, Scratch, generator, measure, refuses, run};
use crate::servers::{right, text};
use crate::support::program;

#[test]
fn a_wrong_command_line_is_one_line_and_exit_code_2() {
    let cases: &[(&[&str], &str)] = &[
        (&["-c", "0"], "counts look like"),
        (&["-c", "5x"], "counts look like"),
        (&["-d", "0"], "durations look like"),
        (&["-d", "5 days"], "durations look like"),
        (&["-P", "0"], "counts look like"),
        (&["-R", "0"], "rates look like"),
        (&["-R", "5:"], "rates look like"),
        (&["-R", "fast"], "rates look like"),
        (&["--timeout", "off"], "durations look like"),
        (&["--warmup", "x"], "durations look like"),
        (&["--warmup", "200ms", "-d", "200ms", "127.0.0.1"], "shorter than -d"),
        (&["--threads", "0"], "counts look like"),
        (&["--ramp", "1s", "--connect-rate", "5"], "cannot be used with"),
        (&["--connect-rate", "0"], "counts look like"),
        (&["--lifetime", "0"], "counts look like"),
        (&["--lifetime", "x"], "counts requests"),
        (&["--hold", "-R", "5"], "cannot be used with"),
        (&["--hold", "--lifetime", "5"], "cannot be used with"),
        (&["--heartbeat", "0"], "durations look like"),
        (&["--heartbeat", "1s"], "--heartbeat has no effect without --hold"),
        (&["--find-max", "p99=1ms", "-R", "1k:2k"], "starts at one rate"),
        (&["--find-max", "p99=1"], "write 1ms or 1s"),
        (&["--fail-if", "p99>5"], "write 5ms or 5s"),
        (&["merge", "a.json", "-c", "5"], "--connections has no effect with merge"),
        (&["merge", "a.json", "-d", "5"], "--duration has no effect with merge"),
        (&["--source", "localhost"], "sources look like"),
        (&["--source", "127.0.0.9-127.0.0.2"], "runs backwards"),
        (&["--protocol", "http"], "the protocols are text, binary, echo and chat"),
        (&["--size", "64k"], "64KiB"),
        (&["--size", "2GiB"], "64MiB"),
        (&["--size", "5", "-m", "TIME"], "cannot be used with"),
        (&["-m", "QUIT"], "--lifetime 1"),
        (&["-m", "a\nb"], "a message is one line"),
        (&["-m", ""], "an empty line gets no reply"),
        (&["-p", "binary", "-m", "quit"], "`echo TEXT` and `rev TEXT`"),
        (&["-p", "chat", "-m", "exit"], "--lifetime 1"),
        (&["--mix", "TIME"], "a mix looks like"),
        (&["--mix", "TIME:0"], "a mix looks like"),
        (&["-m", "TIME", "--mix", "TIME:1"], "cannot be used with"),
        (&["--no-such-flag"], "unexpected argument '--no-such-flag'"),
        (&["ftp://host"], "the protocols are text, binary, echo and chat"),
        (&["text://host:0"], "port 0"),
        (&["host", "port"], "ports are numbers from 1 to 65535"),
        (&["a", "1", "x"], "too many words"),
        (&["echo://host", "-p", "chat"], "leave one of them out"),
        (&["--connections"], "as in --connections 500"),
        (&["host\nname:1\u{1b}"], r"host\nname"),
    ];
    for (arguments, part) in cases {
        refuses(arguments, 2, part);
    }
}

#[test]
fn an_unknown_host_is_refused() {
    refuses(&["text://no-such-host.invalid"], 1, "unknown host");
}

#[test]
fn a_source_of_another_family_than_the_server_is_refused() {
    refuses(&["text://127.0.0.1:1", "--source", "::1"], 2, "both IPv4, or both IPv6");
    refuses(&["text://127.0.0.1:1", "--source", "::1,127.0.0.1"], 2, "mixes IPv4 and IPv6");
}

#[test]
fn help_and_version_go_to_stdout() {
    let long = run(&["--help"]);
    assert_eq!((long.code, &long.stderr[..]), (Some(0), ""), "{long:?}");
    assert!(
        long.text().starts_with("Examples:\n") && long.text().contains("Exit codes:"),
        "{long:?}"
    );
    let short = run(&["-h"]);
    assert_eq!(short.code, Some(0), "{short:?}");
    assert!(short.text().len() < long.text().len(), "{short:?}");
    run(&["--version"]).printing(concat!("tinytcp-load ", env!("CARGO_PKG_VERSION"), "\n"));
}

#[test]
fn every_example_of_the_help_works() {
    let help = run(&["--help"]);
    let examples: Vec<&str> =
        help.text().lines().filter_map(|line| line.strip_prefix("  tinytcp-load")).collect();
    assert!(examples.len() >= 10, "{examples:#?}");
    let script = Scratch::new("txt");
    std::fs::write(script.path(), "send PING\\r\\n\nexpect +PONG\\r\\n\n").expect("a folder");
    for example in examples {
        let words: Vec<String> = words(example)
            .into_iter()
            .map(|word| if word == "session.txt" { script.path().to_owned() } else { word })
            .collect();
        // The preflight opens no connection. `merge` and `compare` have no such flag, and find no
        // files.
        let reads = words.first().is_some_and(|word| word == "merge" || word == "compare");
        // `broadcast` has no such flag either, so that only its arguments are parsed.
        let is_broadcast = words.first().is_some_and(|word| word == "broadcast");
        let last = if is_broadcast { "--help" } else { "--preflight" };
        let last = (!reads).then_some(last);
        let arguments: Vec<&str> = words.iter().map(String::as_str).chain(last).collect();
        let ended = run(&arguments);
        // The machine may lack resources, and the reports to merge do not exist.
        assert!(matches!(ended.code, Some(0 | 1)), "{arguments:?}: {ended:?}");
    }
}

/// Splits a command like a shell, up to its description, which follows two spaces.
fn words(command: &str) -> Vec<String> {
    let (command, _) = command.split_once("  ").unwrap_or((command, ""));
    let mut words = vec![];
    for (index, part) in command.split('\'').enumerate() {
        // Every other part is in quotes.
        if index % 2 == 1 {
            words.push(part.to_owned());
        } else {
            words.extend(part.split_whitespace().map(str::to_owned));
        }
    }
    words
}

#[test]
fn every_flag_is_also_an_environment_variable() {
    let mut command = generator(&[&text(right)]);
    for (name, value) in [
        ("CONNECTIONS", "3"),
        ("DURATION", "200ms"),
        ("PIPELINE", "2"),
        ("RATE", "100:300"),
        ("WARMUP", "50ms"),
        ("TIMEOUT", "4s"),
        ("THREADS", "2"),
        ("RAMP", "20ms"),
        ("LIFETIME", "10"),
        ("SOURCE", "127.0.0.1"),
        ("RESET", "true"),
        ("MESSAGE", "ECHO from the environment"),
        ("FAIL_IF", "errors>1,p99>1h"),
        ("QUIET", "true"),
    ] {
        command.env(format!("TINYTCP_{name}"), value);
    }
    let run = Running::start(command).finish();
    assert_eq!(run.count("asked.connections"), 3);
    assert_eq!(run.count("asked.depth"), 2);
    assert_eq!(run.count("asked.threads"), 2);
    for (key, value) in [
        ("duration_s", 0.2),
        ("warmup_s", 0.05),
        ("timeout_s", 4.0),
        ("pace.from_per_s", 100.0),
        ("pace.to_per_s", 300.0),
    ] {
        assert_eq!(run.number(&format!("asked.{key}")), value, "{key}");
    }
    assert_eq!(run.text("asked.messages"), "ECHO from the environment");
    assert_eq!(run["gates"].as_array().map(Vec::len), Some(2));
}

#[test]
fn errors_name_the_environment_variable() {
    for name in ["DURATION", "SIZE", "FIND_MAX"] {
        let mut command = generator(&[]);
        command.env(format!("TINYTCP_{name}"), "~");
        let ended = program::finish(command);
        assert_eq!(ended.code, Some(2), "{ended:?}");
        ended.complaining_in_one_line("tinytcp-load").saying(&format!("'~' for TINYTCP_{name}:"));
    }
}

#[test]
fn targets_can_be_written_in_every_form() {
    let url = text(right);
    let address = url.strip_prefix("text://").expect("a URL");
    let (host, port) = address.split_once(':').expect("an address");
    for target in [&[&url[..]][..], &[address], &[host, port], &["-p", "TEXT", address]] {
        let run = measure(&[target, &["-c", "1", "-n", "5"]].concat());
        assert_eq!(run.is_flawless().text("asked.target"), url);
    }
}

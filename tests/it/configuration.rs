//! The configuration file, and the settings that `--check` prints.

use std::fs;
use std::net::TcpListener;

use crate::support::complaint::{check_failure, run};
use crate::support::documents::Document;
use crate::support::server::program;
use crate::support::unix::Folder;

/// Returns the output of `--check` with a file that holds `text`, and with `flags`.
#[track_caller]
fn check(folder: &Folder, text: &str, flags: &[&str]) -> String {
    let path = folder.0.join("tinytcp.toml");
    fs::write(&path, text).expect("write the file");
    let ended = run(program().args(["--check", "--config"]).arg(&path).args(flags));
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{text}");
    ended.text().to_owned()
}

/// Returns the line of `setting`: its value, and its origin without the folder.
fn line(printed: &str, setting: &str) -> (String, String) {
    let is_meant = |line: &&str| line.trim_start_matches("# ").starts_with(&format!("{setting} ="));
    let line = printed.lines().find(is_meant).unwrap_or_else(|| panic!("no {setting}: {printed}"));
    let (value, origin) = line.rsplit_once("  # ").expect("an origin");
    let value = value.split_once(" = ").expect("a value").1.trim_end();
    (value.to_owned(), origin.rsplit('/').next().unwrap_or_default().to_owned())
}

#[test]
fn the_order_is_flags_variables_the_file_and_the_defaults() {
    let folder = Folder::new("precedence");
    let path = folder.0.join("tinytcp.toml");
    fs::write(&path, "max-line = 1\nmax-frame = \"2KiB\"\n\nbacklog = 3\n").expect("write it");
    let mut command = program();
    command.args(["--check", "--max-line", "4"]).env("TINYTCP_CONFIG", &path);
    let ended = run(command.env("TINYTCP_MAX_LINE", "5").env("TINYTCP_MAX_FRAME", "6"));
    for (setting, value, origin) in [
        ("max-line", "\"4\"", "flag"),
        ("max-frame", "\"6\"", "variable TINYTCP_MAX_FRAME"),
        ("backlog", "\"3\"", "tinytcp.toml:4"),
        ("idle-timeout", "\"5m\"", "default"),
        ("host", "(loopback, IPv4 and IPv6)", "default"),
    ] {
        assert_eq!(line(ended.text(), setting), (value.into(), origin.into()), "{setting}");
    }
}

#[test]
fn a_flag_beats_the_key_that_it_contradicts() {
    let folder = Folder::new("rivals");
    let printed = check(&folder, "host = \"::1\"\n", &["--listen", "text://127.0.0.1:0"]);
    assert_eq!(line(&printed, "host").1, "default");
    let printed = check(&folder, "verbose = 2\n", &["-q"]);
    assert_eq!((line(&printed, "verbose").0, line(&printed, "quiet").0), ("0".into(), "1".into()));
}

#[test]
fn a_flag_and_the_file_can_complete_each_other() {
    let folder = Folder::new("complements");
    let file = "bus = \"nats://127.0.0.1:1\"\nadmin = \"http://127.0.0.1:0\"\n";
    let printed = check(&folder, file, &["--bus-required", "--admin-host", "a.example"]);
    assert_eq!(line(&printed, "bus-required"), ("true".into(), "flag".into()));
}

#[test]
fn flags_that_contradict_each_other_are_no_fault_of_the_file() {
    let folder = Folder::new("blameless");
    let path = folder.0.join("tinytcp.toml");
    fs::write(&path, "backlog = 3\n").expect("write the file");
    let ended = run(program().arg("--config").arg(&path).args(["-v", "-q"]));
    assert_eq!(ended.code, Some(2));
    assert!(ended.stderr.contains("leave one of them out"), "{ended:?}");
    assert!(!ended.stderr.contains("tinytcp.toml"), "{ended:?}");
}

#[test]
fn a_flag_about_a_listener_that_is_missing_is_exit_2() {
    for (flags, parts) in [
        (["--admin-host", "a.example"], ["--admin (TINYTCP_ADMIN)", "there is none", "http://"]),
        (["--unix-mode", "0660"], ["unix sockets", "there is none", "text+unix://"]),
    ] {
        check_failure(program().arg("--check").args(flags), 2, &parts);
    }
    let served = ["--agent-check", "agent+unix:///tmp/agent.sock", "--unix-mode", "0660"];
    assert_eq!(run(program().arg("--check").args(served)).code, Some(0));
}

#[test]
fn a_wrong_file_is_one_line_with_its_place_and_exit_2() {
    let folder = Folder::new("wrong");
    let path = folder.0.join("tinytcp.toml");
    for (text, parts) in [
        ("\nmax-lines = 3\n", [":2: ", "unknown key max-lines", "max-line"]),
        ("[limits]\nmax-line = 3\n", [":1: ", "unknown key limits", ""]),
        ("config = \"other\"\n", [":1: ", "unknown key config", ""]),
        ("check = true\n", [":1: ", "unknown key check", ""]),
        ("\n\nmax-line = \"64k\"\n", [":3: ", "'64k' for max-line", "64KiB"]),
        ("max-line = true\n", [":1: ", "max-line takes a string or a number", "64KiB"]),
        ("verbose = 300\n", [":1: ", "verbose takes true, false or a number", "255"]),
        ("unix-mode = 0o660\n", [":1: ", "'0o660' for unix-mode", "0660"]),
        (
            "listen = [\n  \"text://127.0.0.1:0\",\n  \"http://x\",\n]\n",
            [":3: ", "'http://x' for listen", "text://127.0.0.1:40000"],
        ),
        ("backlog = 1\nbacklog = 2\n", [":2: ", "duplicate key", ""]),
        ("backlog = 1\nbacklog\n", [":2: ", "tinytcp.toml", ""]),
        ("quiet = true\nverbose = true\n", ["tinytcp.toml: ", "-q", "leave one"]),
    ] {
        fs::write(&path, text).expect("write the file");
        check_failure(program().args(["--check", "--config"]).arg(&path), 2, &parts);
    }
    fs::write(&path, b"backlog = 1\n\xff").expect("write the file");
    check_failure(program().arg("--config").arg(&path), 2, &[":2: ", "not UTF-8"]);
}

#[test]
fn a_file_that_cannot_be_read_is_exit_1() {
    let folder = Folder::new("unreadable");
    check_failure(program().arg("--config").arg(&folder.0), 1, &["cannot read", "directory"]);
    let missing = folder.0.join("missing.toml");
    check_failure(program().arg("--config").arg(missing), 1, &["cannot read", "missing.toml"]);
}

#[test]
fn the_output_of_a_check_is_a_file_with_the_same_settings() {
    let folder = Folder::new("again");
    let text = "listen = [\"text://127.0.0.1:0\", \"echo+unix:///tmp/a\\\"b\"]\nverbose = 1\n";
    let values = |printed: &str| -> Vec<String> {
        let lines = printed.lines().filter(|line| !line.starts_with("# "));
        lines.map(|line| line.rsplit_once("  # ").expect("an origin").0.trim().into()).collect()
    };
    let printed = check(&folder, text, &["--max-line", "1KiB"]);
    let again = check(&folder, &printed, &[]);
    assert_eq!(values(&again), values(&printed));
}

#[test]
fn a_check_names_each_address_and_binds_none() {
    let folder = Folder::new("addresses");
    let holder = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("text://{}", holder.local_addr().expect("its address"));
    let printed = check(&folder, &format!("listen = \"{url}\"\n"), &[]);
    assert!(printed.contains(&format!("\n# listens on {url}\n")), "{printed}");
}

#[test]
fn a_check_fails_where_a_start_would_fail_by_the_settings() {
    let listen = |urls: &[&str]| {
        let mut command = program();
        command.arg("--check").args(urls.iter().flat_map(|url| ["--listen", url]));
        command
    };
    check_failure(&mut listen(&["text://no.such.host.invalid:1"]), 1, &["unknown host"]);
    let twice = ["text://127.0.0.1:1", "echo://127.0.0.1:1"];
    check_failure(&mut listen(&twice), 1, &["another listener"]);
    check_failure(program().arg("--check").env("RUST_LOG", "a=b=c"), 1, &["RUST_LOG"]);
}

#[test]
fn the_example_in_the_documentation_is_right() {
    let document = Document::read("docs/server.md");
    let (_, rest) = document.text.split_once("```toml\n").expect("an example");
    let (example, _) = rest.split_once("```").expect("its end");
    let printed = check(&Folder::new("example"), example, &[]);
    assert_eq!(line(&printed, "max-line").1, "tinytcp.toml:7");
}

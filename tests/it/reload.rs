//! SIGHUP: new settings for a running server and its open connections.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::thread;

use crate::support::server::{Server, listen_flags, program_under};
use crate::support::unix::Folder;
use nix::fcntl::OFlag;
use nix::pty::{grantpt, posix_openpt, ptsname_r, unlockpt};

/// A server with a configuration file.
struct Configured {
    server: Server,
    folder: Folder,
}

impl Configured {
    /// Starts a server whose file holds `text`, without a terminal.
    fn start(name: &str, text: &str, flags: &[&str]) -> Self {
        Self::start_under(name, text, flags, &["setsid"])
    }

    /// Starts it with the command `launcher`.
    fn start_under(name: &str, text: &str, flags: &[&str], launcher: &[&str]) -> Self {
        let folder = Folder::new(name);
        let path = folder.0.join("tinytcp.toml");
        fs::write(&path, text).expect("write the file");
        let mut command = program_under(launcher);
        command.args(listen_flags()).arg("--config").arg(path).args(flags);
        Self { server: Server::launch(command), folder }
    }

    /// Replaces the file in one step, as an editor does.
    fn write(&self, text: &str) {
        let new = self.folder.0.join("new");
        fs::write(&new, text).expect("write a file");
        fs::rename(new, self.path()).expect("replace the file");
    }

    fn path(&self) -> PathBuf {
        self.folder.0.join("tinytcp.toml")
    }

    /// Replaces the file, sends SIGHUP, and waits for a log line with `parts`.
    #[track_caller]
    fn reload(&self, text: &str, parts: &[&str]) {
        self.write(text);
        self.server.process().signal("HUP");
        self.server.wait_for_log(parts);
    }
}

#[test]
fn a_new_timeout_holds_for_an_open_connection() {
    let configured = Configured::start("timeout", "idle-timeout = \"off\"\n", &[]);
    let mut peer = configured.server.text();
    configured.reload("idle-timeout = \"200ms\"\n", &["reloaded", "\"off\" -> \"200ms\""]);
    peer.expect("ERROR IDLE_TIMEOUT\n");
    peer.expect_eof();
}

#[test]
fn a_new_limit_holds_for_an_open_connection() {
    let configured = Configured::start("limit", "", &[]);
    let mut peer = configured.server.text();
    configured.reload("max-line = 10\n", &["reloaded", "max-line \"64KiB\" -> \"10\""]);
    peer.send("ECHO 0123456789\nECHO 01234\n");
    peer.expect("ERROR LINE_TOO_LONG\nECHO 01234\n");
    configured.reload("", &["reloaded", "max-line \"10\" -> \"64KiB\""]);
    peer.send("ECHO 0123456789\n");
    peer.expect("ECHO 0123456789\n");
}

#[test]
fn a_file_that_is_wrong_changes_nothing() {
    let configured = Configured::start("wrong-reload", "max-line = 10\n", &[]);
    let mut peer = configured.server.text();
    for (text, parts) in [
        ("max-line = 20\nmax-frames = 1\n", ["not reloaded", ":2: unknown key max-frames"]),
        ("max-line = 20\nbacklog = \"x\"\n", ["not reloaded", ":2: invalid value"]),
        ("max-line = 20\nquiet = 1\nverbose = 1\n", ["not reloaded", "leave one of them out"]),
        ("max-line = ", ["not reloaded", ":1: "]),
    ] {
        configured.reload(text, &parts);
        peer.send("ECHO 0123456789\n");
        peer.expect("ERROR LINE_TOO_LONG\n");
    }
    fs::remove_file(configured.path()).expect("remove the file");
    configured.server.process().signal("HUP");
    configured.server.wait_for_log(&["not reloaded", "cannot read"]);
}

#[test]
fn a_pipe_in_place_of_the_file_stops_no_later_reload() {
    let configured = Configured::start("pipe", "", &[]);
    fs::remove_file(configured.path()).expect("remove the file");
    let made = Command::new("mkfifo").arg(configured.path()).status().expect("mkfifo runs");
    assert!(made.success());
    configured.server.process().signal("HUP");
    configured.server.wait_for_log(&["not reloaded", "is a pipe"]);
    configured.reload("max-line = 10\n", &["reloaded", "max-line"]);
}

#[test]
fn a_flag_keeps_its_precedence_at_a_reload() {
    let configured = Configured::start("flag", "max-frame = 10\n", &["--max-line", "10"]);
    configured.reload("max-line = 20\nmax-frame = 20\n", &["reloaded: max-frame \"10\" -> \"20\""]);
    let mut peer = configured.server.text();
    peer.send("ECHO 0123456789\n");
    peer.expect("ERROR LINE_TOO_LONG\n");
}

#[test]
fn a_setting_that_needs_a_restart_is_named() {
    let configured = Configured::start("restart", "", &[]);
    configured.reload("backlog = 7\n", &["need a restart: backlog \"1024\" -> \"7\""]);
}

#[test]
fn the_level_of_the_log_changes() {
    let configured = Configured::start("level", "", &[]);
    configured.reload("verbose = true\n", &["reloaded: verbose 0 -> 1"]);
    drop(configured.server.connect("binary"));
    configured.server.wait_for_log(&["DEBUG", "probe binary"]);
}

#[test]
fn a_storm_of_hang_ups_under_load_loses_no_answer() {
    const ROUNDS: usize = 200;
    let configured = Configured::start("storm", "", &["--activity-log", "off"]);
    let converse = || {
        let mut peer = configured.server.text();
        for index in 0..ROUNDS {
            peer.send(format!("ECHO {index}\n").repeat(20));
            peer.expect(format!("ECHO {index}\n").repeat(20));
        }
    };
    thread::scope(|scope| {
        (0..4).for_each(|_| _ = scope.spawn(converse));
        for index in 0..60 {
            let text = ["max-line = 30\nidle-timeout = 60\n", "max-line = \"1MiB\"\n", "max-"];
            configured.write(text[index % text.len()]);
            configured.server.process().signal("HUP");
        }
    });
    configured.reload("max-line = 10\n", &["reloaded", "-> \"10\""]);
    let mut peer = configured.server.text();
    peer.send("ECHO 0123456789\n");
    peer.expect("ERROR LINE_TOO_LONG\n");
}

#[test]
fn without_a_file_and_a_terminal_a_hang_up_changes_nothing() {
    let mut command = program_under(&["setsid"]);
    command.args(listen_flags());
    let server = Server::launch(command);
    server.process().signal("HUP");
    server.wait_for_log(&["nothing to reload", "--config"]);
    server.text();
}

#[test]
fn a_hang_up_that_the_parent_has_blocked_reloads() {
    let launcher = ["setsid", "env", "--block-signal=HUP"];
    let configured = Configured::start_under("blocked", "", &[], &launcher);
    configured.reload("max-line = 10\n", &["reloaded", "max-line"]);
}

#[test]
fn the_end_of_the_terminal_ends_the_server() {
    for text in [None, Some("max-line = 10\n")] {
        // No other process inherits this end, so that its drop hangs the terminal up.
        let flags = OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
        let terminal = posix_openpt(flags).expect("a terminal");
        grantpt(&terminal).and_then(|()| unlockpt(&terminal)).expect("its other end");
        let path = ptsname_r(&terminal).expect("its path");
        let on_terminal = format!("exec setsid --ctty \"$@\" <{path}");
        let launcher = ["sh", "-c", &on_terminal, "sh"];
        let folder = Folder::new("terminal");
        let mut command = program_under(&launcher);
        command.args(listen_flags());
        if let Some(text) = text {
            let file = folder.0.join("tinytcp.toml");
            fs::write(&file, text).expect("write the file");
            command.arg("--config").arg(file);
        }
        let mut server = Server::launch(command);
        let mut peer = server.text();
        drop(terminal);
        peer.expect("BYE\n");
        peer.expect_eof();
        drop(peer);
        assert_eq!(server.wait_for_exit().code(), Some(0), "{text:?}");
    }
}

//! The modes of the terminal: restored at every end and every stop of the client, and set again
//! when it continues.

use std::io::{Read, Write};
use std::sync::{Mutex, mpsc};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::originals;
use crate::support::behaviour::serve;
use crate::support::program::DEADLINE;
use crate::support::wait::wait_until;
use crate::terminal::Terminal;

const CLIENT: &str = env!("CARGO_BIN_EXE_tinytcp-client");

/// Starts the client, and returns the id of its process too. After its end the shell prints `SAME`,
/// if the modes are the same.
fn start(url: &str) -> (Terminal, Pid) {
    let mut terminal = Terminal::start_command(&format!(
        "sh -c 'before=$(stty -g); sh -c \"echo pid \\$\\$ .; exec {CLIENT} {url}\"; \
         test \"$before\" = \"$(stty -g)\" && echo SAME'"
    ));
    let pid = read_pid(&mut terminal);
    (terminal, pid)
}

fn read_pid(terminal: &mut Terminal) -> Pid {
    terminal.wait_for("pid ");
    Pid::from_raw(terminal.read_up_to(" .").parse().expect("a process id"))
}

#[test]
#[ignore = "needs a terminal, which `script` from util-linux provides"]
fn modes_are_restored_when_a_signal_ends_the_client() {
    let url = format!("text://127.0.0.1:{}", originals::text());
    // In the list of the words, in an open paste, and after keys that begin a sequence.
    for keys in ["\t\t", "\x1b[200~half", "\x1b", "\x16"] {
        for signal in [Signal::SIGTERM, Signal::SIGHUP] {
            let (mut terminal, pid) = start(&url);
            terminal.wait_for("-> ");
            terminal.type_keys("half");
            terminal.wait_for("half");
            terminal.type_keys(keys);
            kill(pid, signal).expect("our child");
            terminal.wait_for("SAME\r\n");
        }
    }
    let (mut terminal, pid) = start(&url);
    terminal.wait_for("-> ");
    terminal.type_keys("\t\t");
    terminal.wait_for("HELP");
    kill(pid, Signal::SIGINT).expect("our child");
    terminal.wait_for("SAME\r\n");
}

#[test]
#[ignore = "needs a terminal, which `script` from util-linux provides"]
fn modes_are_restored_after_a_server_closes_between_two_keys() {
    // The keys before the server closes, and those after which the editor shows the close.
    for (before, after) in
        [("\t\t", ""), ("\x1b[200~half", "\x1b[201~"), ("\x1b", "x"), ("\x16", "x")]
    {
        let (leave, may_leave) = mpsc::channel();
        let (left, has_left) = mpsc::channel();
        let may_leave = Mutex::new(may_leave);
        let port = serve(move |mut stream| {
            let _ = stream.write_all(b"WELCOME\n");
            let _ = may_leave.lock().expect("no panic").recv_timeout(DEADLINE);
            let _ = stream.write_all(b"ERROR IDLE_TIMEOUT\n");
            let _ = stream.shutdown(std::net::Shutdown::Write);
            let _ = stream.read(&mut [0; 100]);
            let _ = left.send(());
        });
        let (mut terminal, _) = start(&format!("text://127.0.0.1:{port}"));
        terminal.wait_for("-> ");
        terminal.type_keys(before);
        leave.send(()).expect("the server waits");
        has_left.recv_timeout(DEADLINE).expect("the client closes too");
        terminal.type_keys(after);
        terminal.wait_for("the next command connects again\r\n");
        terminal.wait_for("-> ");
        // Ctrl-C clears a line with text before it leaves.
        terminal.type_keys("z\x03\x03");
        terminal.wait_for("SAME\r\n");
    }
}

#[test]
#[ignore = "needs a terminal, which `script` from util-linux provides"]
fn modes_are_restored_after_a_server_of_another_protocol() {
    let (mut terminal, _) = start(&format!("binary://127.0.0.1:{}", originals::text()));
    terminal.wait_for("does the server speak binary?; the next command connects again\r\n");
    // Before the prompt the line editor has not changed the terminal, and Ctrl-C is a signal.
    terminal.wait_for("Enter command > ");
    terminal.type_keys("z\x03\x03");
    terminal.wait_for("SAME\r\n");
}

/// Starts the client as a job of an interactive shell, with half a line typed.
fn start_job() -> (Terminal, Pid) {
    let mut terminal = Terminal::start_command("PS1='ready> ' sh -i");
    terminal.wait_for("ready> ");
    terminal.type_keys("before=$(stty -g)\r");
    terminal.wait_for("ready> ");
    // The quotes distinguish the output from the echo of the typed line.
    terminal.type_keys(&format!(
        "sh -c 'echo p\"\"id $$ .; exec {CLIENT} text://127.0.0.1:{}'\r",
        originals::text()
    ));
    let pid = read_pid(&mut terminal);
    terminal.wait_for("-> ");
    terminal.type_keys("ECHO half");
    terminal.wait_for("half");
    (terminal, pid)
}

/// True if the process is gone, or waits only for its parent to read its exit code.
fn has_ended(pid: Pid) -> bool {
    let state = std::fs::read_to_string(format!("/proc/{pid}/stat"));
    state.map_or(true, |stat| stat.contains(") Z "))
}

#[test]
#[ignore = "needs a terminal, which `script` from util-linux provides"]
fn a_suspended_client_restores_the_terminal_and_fg_resumes_it() {
    let by_key: fn(&mut Terminal, Pid) = |terminal, _| terminal.type_keys("\x1a");
    let from_outside: fn(&mut Terminal, Pid) =
        |_, pid| kill(pid, Signal::SIGTSTP).expect("our child");
    for stop in [by_key, from_outside] {
        let (mut terminal, pid) = start_job();
        stop(&mut terminal, pid);
        terminal.wait_for("ready> ");
        terminal.type_keys("test \"$before\" = \"$(stty -g)\" && echo SA\"\"ME\r");
        terminal.wait_for("SAME\r\n");
        terminal.type_keys("fg\r");
        terminal.wait_for("-> ECHO half");
        terminal.type_keys(" done\r");
        terminal.wait_for("<- ECHO half done\r\n");
        terminal.wait_for("-> ");
        terminal.type_keys("\x04");
        terminal.wait_for("<- BYE\r\n");
        terminal.wait_for("ready> ");
        terminal.type_keys("exit\r");
        assert_eq!(terminal.finish(), Some(0));
    }
}

#[test]
#[ignore = "needs a terminal, which `script` from util-linux provides"]
fn a_client_in_the_background_can_be_ended() {
    let (mut terminal, pid) = start_job();
    terminal.type_keys("\x1a");
    terminal.wait_for("ready> ");
    terminal.type_keys("bg\r");
    terminal.wait_for("ready> ");
    kill(pid, Signal::SIGTERM).expect("our child");
    // Keys that are typed before its end may go to the client, and the system stops it for that.
    wait_until("the client ends", || has_ended(pid));
    terminal.type_keys("wait; echo en\"\"ded\r");
    terminal.wait_for("ended\r\n");
    terminal.type_keys("exit\r");
    assert_eq!(terminal.finish(), Some(0));
}

#[test]
#[ignore = "needs a terminal, which `script` from util-linux provides"]
fn a_client_without_job_control_is_not_suspended() {
    let mut terminal = Terminal::start(&format!("text://127.0.0.1:{}", originals::text()));
    terminal.wait_for("-> ");
    terminal.type_keys("ECHO half\x1a done\r");
    terminal.wait_for("<- ECHO half done\r\n");
    terminal.type_keys("QUIT\r");
    assert_eq!(terminal.finish(), Some(0));
}

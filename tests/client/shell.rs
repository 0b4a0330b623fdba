//! The shell, with a pipe as stdin (the editor then shows no prompt) and on a terminal.

use std::fs::Permissions;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;
use std::sync::mpsc;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::originals;
use crate::runs::{client, finish_child, run_script};
use crate::support::behaviour::serve;
use crate::support::program::{DEADLINE, PrintedLines};
use crate::terminal::{STATE_HOME, Terminal};

#[test]
fn a_session_has_the_words_of_the_original_client() {
    let time = originals::TIME;
    let cases = [
        (
            "text",
            originals::text(),
            "TIME\n\nfoo\nQUIT\n",
            format!(
                "<- WELCOME, I'm TinyServer not pressure\n<- TIME {time}\n\
                 <- ERROR UNKNOWN_COMMAND\n<- BYE\n"
            ),
        ),
        (
            "binary",
            originals::binary(),
            "echo hi\nfoo\nquit\n",
            "Server Response: hi\n\
             unknown command 'foo': the commands are echo <message>, rev <message>, status, \
             join <room>, say <text>, nick <name>, who, leave, whoami and quit\n\
             Sent QUIT command to server.\nClosing connection to the server.\n"
                .into(),
        ),
        (
            "echo",
            originals::echo(),
            "hi\nquit\n",
            "Type a message; quit or Ctrl-D leaves.\n\
             Server: Server received: hi\nDisconnected from server\n"
                .into(),
        ),
        (
            "chat",
            originals::chat(),
            "hello\nexit\n",
            "[Server]: Hello from the server! Connection established.\nDisconnected from server\n"
                .into(),
        ),
    ];
    for (protocol, port, typed, shown) in cases {
        let run =
            run_script(&[&format!("{protocol}://127.0.0.1:{port}"), "shell"], typed.as_bytes());
        assert!(run.ended_with(0).text().ends_with(&shown), "{run:?}");
    }
}

#[test]
fn an_interrupt_leaves_the_shell() {
    let mut command =
        client(&[&format!("text://127.0.0.1:{}", originals::text()), "--timeout", "off", "shell"]);
    let mut child = command.stdin(Stdio::piped()).spawn().expect("the client starts");
    let _held_open = child.stdin.take();
    let mut lines = PrintedLines::of(child.stdout.take().expect("piped"));
    assert!(lines.any(|line| line.contains("WELCOME")), "the banner is missing");
    kill(Pid::from_raw(child.id().cast_signed()), Signal::SIGINT).expect("our child");
    assert_eq!(finish_child(child).code, Some(0));
    assert_eq!(lines.last().as_deref(), Some("<- BYE"));
}

#[test]
fn the_end_of_input_leaves_the_shell() {
    let text =
        run_script(&[&format!("text://127.0.0.1:{}", originals::text()), "shell"], b"ECHO a\n");
    assert!(text.ended_with(0).text().ends_with("<- ECHO a\n<- BYE\n"), "{text:?}");
    let binary =
        run_script(&[&format!("binary://127.0.0.1:{}", originals::binary()), "shell"], b"");
    assert!(
        binary
            .ended_with(0)
            .text()
            .ends_with("Sent QUIT command to server.\nClosing connection to the server.\n")
    );
}

#[test]
fn a_server_that_closes_first_is_reported() {
    let port = serve(|mut stream| drop(stream.write_all(b"WELCOME\nBYE\n")));
    let mut child = client(&[&format!("text://127.0.0.1:{port}"), "shell"])
        .stdin(Stdio::piped())
        .spawn()
        .expect("starts");
    let stdin = child.stdin.take();
    let run = finish_child(child);
    run.ended_with(4).saying("the server closed the connection; look at the server's log");
    assert!(run.text().ends_with("<- WELCOME\n<- BYE\n"), "{run:?}");
    drop(stdin);
}

#[test]
fn control_characters_of_a_server_are_escaped() {
    let port = serve(|mut stream| drop(stream.write_all(b"\x1b[2J\x07\xff\r\n")));
    let run = run_script(&[&format!("text://127.0.0.1:{port}"), "shell"], b"");
    assert!(run.text().contains("<- \\x1b[2J\\x07\\xff"), "{run:?}");
    assert!(!run.stdout.contains(&0x1b), "{run:?}");
}

#[test]
#[ignore = "needs a terminal, which `script` from util-linux provides"]
fn on_a_terminal_a_session_reads_as_in_its_description() {
    let mut terminal = Terminal::start(&format!("binary://127.0.0.1:{}", originals::binary()));
    terminal.wait_for("Enter command > ");
    terminal.type_keys("echo Hello, World!\r");
    terminal.wait_for("Server Response: Hello, World!\r\n");
    terminal.wait_for("Enter command > ");
    terminal.type_keys("re\tabc\r");
    terminal.wait_for("Server Response: cba\r\n");
    terminal.wait_for("Enter command > ");
    // Ctrl-C clears a line with text, and leaves from an empty one.
    terminal.type_keys("half a line\x03rev xy\r");
    terminal.wait_for("Server Response: yx\r\n");
    terminal.wait_for("Enter command > ");
    terminal.type_keys("\x03");
    terminal.wait_for("Sent QUIT command to server.\r\nClosing connection to the server.\r\n");
    assert_eq!(terminal.finish(), Some(0));
}

#[test]
#[ignore = "needs a terminal, which `script` from util-linux provides"]
fn on_a_terminal_a_server_may_send_and_close_at_any_time() {
    let (leave, may_leave) = mpsc::channel::<()>();
    let may_leave = std::sync::Mutex::new(may_leave);
    let port = serve(move |mut stream| {
        let _ = stream.write_all(b"WELCOME\nNEWS \x1b[2J\n");
        let _ = may_leave.lock().expect("no panic").recv_timeout(DEADLINE);
        let _ = stream.write_all(b"BYE\n");
    });
    let mut terminal = Terminal::start(&format!("text://127.0.0.1:{port}"));
    terminal.wait_for("<- NEWS \\x1b[2J\r\n");
    terminal.wait_for("-> ");
    terminal.type_keys("never sent");
    terminal.wait_for("sent");
    leave.send(()).expect("the server waits");
    terminal.wait_for("<- BYE\r\n");
    terminal.wait_for(
        "the server closed the connection; look at the server's log; \
         the next command connects again\r\n",
    );
    terminal.wait_for("-> never sent");
    // Ctrl-D at the end of a text has no effect, and Ctrl-C clears the line before it leaves.
    terminal.type_keys("\x04\x03\x03");
    assert_eq!(terminal.finish(), Some(4));
}

#[test]
#[ignore = "needs a terminal, which `script` from util-linux provides"]
fn on_a_terminal_each_line_of_a_burst_is_a_request() {
    for (protocol, port, prompt, answer) in [
        ("text", originals::text(), "-> ", "<- ECHO "),
        ("binary", originals::binary(), "Enter command > ", "Server Response: "),
        ("echo", originals::echo(), "> ", "Server: Server received: ECHO "),
        ("chat", originals::chat(), "Message >> ", "[Server]: ACK: Received 'ECHO "),
    ] {
        let mut terminal = Terminal::start(&format!("{protocol}://127.0.0.1:{port}"));
        terminal.wait_for(prompt);
        terminal.type_keys("ECHO 1\rECHO 2\rECHO 3\r");
        for number in 1..=3 {
            terminal.wait_for(&format!("{answer}{number}"));
        }
        terminal.wait_for(prompt);
        terminal.type_keys("\x04");
        assert_eq!(terminal.finish(), Some(0));
    }
}

#[test]
#[ignore = "needs a terminal, which `script` from util-linux provides"]
fn on_a_terminal_each_line_of_a_paste_is_a_request() {
    let mut terminal = Terminal::start(&format!("text://127.0.0.1:{}", originals::text()));
    terminal.wait_for("-> ");
    terminal.type_keys("\x1b[200~ECHO 4\nECHO 5\nquit\x1b[201~\r");
    for answer in ["ECHO 4", "ECHO 5", "BYE"] {
        terminal.wait_for(&format!("<- {answer}\r\n"));
    }
    assert_eq!(terminal.finish(), Some(0));
}

#[test]
#[ignore = "needs a terminal, which `script` from util-linux provides"]
fn on_a_terminal_invalid_utf8_does_not_end_the_session() {
    let mut terminal = Terminal::start(&format!("text://127.0.0.1:{}", originals::text()));
    terminal.wait_for("-> ");
    terminal.keys.write_all(b"ECHO \xff\r").expect("the terminal is open");
    terminal.wait_for("the input has bytes that are not UTF-8");
    terminal.wait_for("-> ");
    terminal.type_keys("ECHO on\r");
    terminal.wait_for("<- ECHO on\r\n");
    terminal.type_keys("QUIT\r");
    assert_eq!(terminal.finish(), Some(0));
}

#[test]
#[ignore = "needs a terminal, which `script` from util-linux provides"]
fn on_a_terminal_the_next_command_connects_again() {
    let is_first = std::sync::atomic::AtomicBool::new(true);
    let port = serve(move |mut stream| {
        let _ = stream.write_all(b"WELCOME\n");
        if is_first.swap(false, std::sync::atomic::Ordering::Relaxed) {
            return;
        }
        let _ = stream.read(&mut [0; 100]);
        let _ = stream.write_all(b"ECHO a\n");
        let _ = stream.read(&mut [0; 100]);
        let _ = stream.write_all(b"BYE\n");
    });
    let mut terminal = Terminal::start(&format!("text://127.0.0.1:{port}"));
    terminal.wait_for("the next command connects again\r\n");
    terminal.type_keys("ECHO a\r");
    terminal.wait_for("Connected again to text://127.0.0.1:");
    terminal.wait_for("<- ECHO a\r\n");
    terminal.type_keys("QUIT\r");
    terminal.wait_for("<- BYE\r\n");
    assert_eq!(terminal.finish(), Some(0));
}

#[test]
#[ignore = "needs a terminal, which `script` from util-linux provides"]
fn on_a_terminal_the_history_is_private_and_has_no_secrets() {
    let home = std::path::Path::new(STATE_HOME).join("private");
    let file = home.join("tinytcp/history");
    std::fs::create_dir_all(home.join("tinytcp")).expect("a directory");
    // A file that other users can read becomes private.
    std::fs::write(&file, "")
        .and_then(|()| std::fs::set_permissions(&file, Permissions::from_mode(0o644)))
        .expect("set");
    let mut terminal = Terminal::start_command(&format!(
        "XDG_STATE_HOME={} {} text://127.0.0.1:{}",
        home.display(),
        env!("CARGO_BIN_EXE_tinytcp-client"),
        originals::text()
    ));
    for text in ["kept", "my password is x", "Token x"] {
        terminal.wait_for("-> ");
        terminal.type_keys(&format!("ECHO {text}\r"));
        terminal.wait_for(&format!("<- ECHO {text}\r\n"));
    }
    terminal.wait_for("-> ");
    terminal.type_keys("\x04");
    assert_eq!(terminal.finish(), Some(0));
    let mode = std::fs::metadata(&file).expect("there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "{mode:o}");
    let kept = std::fs::read_to_string(&file).expect("readable");
    std::fs::remove_dir_all(&home).expect("ours");
    assert_eq!(
        kept.lines().filter(|line| line.starts_with("ECHO")).collect::<Vec<_>>(),
        ["ECHO kept"],
        "{kept}"
    );
}

#[test]
fn from_a_pipe_only_the_line_with_invalid_utf8_is_dropped() {
    let url = format!("text://127.0.0.1:{}", originals::text());
    let run = run_script(&[&url, "shell"], b"ECHO 1\nECHO \xff\nECHO 2\n");
    let shown = "<- ECHO 1\n\
                 the input has bytes that are not UTF-8: the line was dropped\n\
                 <- ECHO 2\n<- BYE\n";
    assert!(run.ended_with(0).text().ends_with(shown), "{run:?}");
}

#[test]
fn a_silent_and_a_foreign_server_are_reported() {
    let silent = serve(crate::support::behaviour::hold);
    let mut child = client(&[&format!("text://127.0.0.1:{silent}"), "shell", "--timeout", "300ms"])
        .stdin(Stdio::piped())
        .spawn()
        .expect("starts");
    let stdin = child.stdin.take();
    let mut lines = PrintedLines::of(child.stdout.take().expect("piped"));
    let said = "no banner within 300 ms; does the server speak text?";
    assert!(lines.any(|line| line == said), "the shell does not say that the server is silent");
    drop(stdin);
    finish_child(child).ended_with(0);
    assert_eq!(lines.count(), 0, "it is reported once");
    let foreign = serve(|mut stream| {
        let _ = stream.write_all(b"$2\r\n");
        crate::support::behaviour::hold(stream);
    });
    let run = run_script(&[&format!("text://127.0.0.1:{foreign}"), "shell"], b"");
    assert!(run.text().contains("is no banner; does the server speak text?\n"), "{run:?}");
}

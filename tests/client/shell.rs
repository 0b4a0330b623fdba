//! The shell, from a pipe (where the editor shows no prompt) and on a terminal.

use std::io::{Read, Write};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;

use crate::originals;
use crate::runs::{client, finish_child, run_script};
use crate::support::behaviour::serve;
use crate::support::program::{DEADLINE, wait};

#[test]
fn answers_and_farewells_are_in_the_words_of_each_client() {
    let time = originals::TIME;
    let cases = [
        (
            "text",
            originals::text(),
            "TIME\n\nfoo\nQUIT\n",
            format!("<- WELCOME, I'm TinyServer not pressure\n<- TIME {time}\n<- ERROR UNKNOWN_COMMAND\n<- BYE\n"),
        ),
        (
            "binary",
            originals::binary(),
            "echo hi\nfoo\nquit\n",
            "Server Response: hi\n\
             unknown command 'foo': the commands are echo <message>, rev <message> and quit\n\
             Sent QUIT command to server.\nClosing connection to the server.\n"
                .into(),
        ),
        (
            "echo",
            originals::echo(),
            "hi\nquit\n",
            "Type messages to send to server (type 'quit' to exit):\n\
             Server: Server received: hi\nDisconnected from server\n"
                .into(),
        ),
        (
            "chat",
            originals::chat(),
            "hello\nexit\n",
            "[Server]: Hello from the server! Connection established.\nDisconnected from server\n".into(),
        ),
    ];
    for (protocol, port, typed, shown) in cases {
        let run = run_script(&[&format!("{protocol}://127.0.0.1:{port}"), "shell"], typed.as_bytes());
        assert!(run.ended_with(0).text().ends_with(&shown), "{run:?}");
    }
}

#[test]
fn the_end_of_input_is_a_farewell() {
    let text = run_script(&[&format!("text://127.0.0.1:{}", originals::text()), "shell"], b"ECHO a\n");
    assert!(text.ended_with(0).text().ends_with("<- ECHO a\n<- BYE\n"), "{text:?}");
    let binary = run_script(&[&format!("binary://127.0.0.1:{}", originals::binary()), "shell"], b"");
    assert!(binary.ended_with(0).text().ends_with("Sent QUIT command to server.\nClosing connection to the server.\n"));
}

#[test]
fn a_server_that_leaves_first_is_reported() {
    let port = serve(|mut stream| drop(stream.write_all(b"WELCOME\nBYE\n")));
    let mut child =
        client(&[&format!("text://127.0.0.1:{port}"), "shell"]).stdin(Stdio::piped()).spawn().expect("starts");
    let stdin = child.stdin.take();
    let run = finish_child(child);
    assert!(run.ended_with(0).text().ends_with("<- WELCOME\n<- BYE\nThe server closed the connection.\n"), "{run:?}");
    drop(stdin);
}

#[test]
fn a_server_cannot_drive_the_terminal_of_a_shell() {
    let port = serve(|mut stream| drop(stream.write_all(b"\x1b[2J\x07\xff\r\n")));
    let run = run_script(&[&format!("text://127.0.0.1:{port}"), "shell"], b"");
    assert!(run.text().contains("<- \\x1b[2J\\x07\\xff"), "{run:?}");
    assert!(!run.stdout.contains(&0x1b), "{run:?}");
}

#[test]
#[ignore = "needs a terminal, which `script` from util-linux lends"]
fn on_a_terminal_a_session_reads_as_its_description_shows() {
    let mut terminal = Terminal::start(&format!("binary://127.0.0.1:{}", originals::binary()));
    terminal.wait_for("Enter command > ");
    terminal.type_keys("echo Hello, World!\r");
    terminal.wait_for("Server Response: Hello, World!\r\n");
    terminal.wait_for("Enter command > ");
    terminal.type_keys("re\tabc\r");
    terminal.wait_for("Server Response: cba\r\n");
    terminal.wait_for("Enter command > ");
    // Ctrl-C.
    terminal.type_keys("half a line\x03");
    terminal.wait_for("Sent QUIT command to server.\r\nClosing connection to the server.\r\n");
    assert_eq!(terminal.finish(), Some(0));
}

#[test]
#[ignore = "needs a terminal, which `script` from util-linux lends"]
fn on_a_terminal_a_server_may_speak_and_leave_while_the_person_types() {
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
    terminal.wait_for("The server closed the connection.\r\n");
    assert_eq!(terminal.finish(), Some(0));
}

/// The client on a terminal.
struct Terminal {
    child: std::process::Child,
    keys: std::process::ChildStdin,
    pieces: mpsc::Receiver<Vec<u8>>,
    /// What has been shown since the last thing waited for.
    shown: String,
}

impl Terminal {
    fn start(url: &str) -> Self {
        let command = format!("{} {url}", env!("CARGO_BIN_EXE_tinytcp-client"));
        let mut child = Command::new("script")
            .args(["-qefc", &command, "/dev/null"])
            .env("TERM", "xterm")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("`script` is there");
        let keys = child.stdin.take().expect("piped");
        let mut stdout = child.stdout.take().expect("piped");
        let (sender, pieces) = mpsc::channel();
        thread::spawn(move || {
            let mut piece = [0; 4096];
            while let Ok(len @ 1..) = stdout.read(&mut piece) {
                let _ = sender.send(piece[..len].to_vec());
            }
        });
        Self { child, keys, pieces, shown: String::new() }
    }

    fn type_keys(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).and_then(|()| self.keys.flush()).expect("the terminal is open");
    }

    #[track_caller]
    fn wait_for(&mut self, text: &str) {
        loop {
            if let Some(at) = self.shown.find(text) {
                self.shown.drain(..at + text.len());
                return;
            }
            match self.pieces.recv_timeout(DEADLINE) {
                Ok(piece) => self.shown.push_str(&String::from_utf8_lossy(&piece)),
                Err(_) => panic!("{text:?} never comes: {:?}", self.shown),
            }
        }
    }

    fn finish(mut self) -> Option<i32> {
        wait(&mut self.child).code()
    }
}

//! No program shows colours on a dumb terminal.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::terminal::Terminal;

#[test]
#[cfg(feature = "load")]
#[ignore = "needs a terminal, which `script` from util-linux provides"]
fn the_generator_has_no_colours_on_a_dumb_terminal() {
    let (generator, port) = (env!("CARGO_BIN_EXE_tinytcp-load"), crate::originals::text());
    for (term, is_coloured) in [("xterm", true), ("dumb", false)] {
        let command = format!("TERM={term} {generator} text://127.0.0.1:{port} -c 1 -d 300ms");
        let shown = Terminal::start_command(&command).read_to_end();
        assert!(shown.contains("Verdict") && shown.contains('\x1b') == is_coloured, "{shown:?}");
    }
}

#[test]
#[ignore = "needs a terminal, which `script` from util-linux provides"]
fn the_log_has_no_colours_on_a_dumb_terminal() {
    for (term, is_coloured) in [("xterm", true), ("dumb", false)] {
        let server = env!("CARGO_BIN_EXE_tinytcp-server");
        let command =
            format!("sh -c 'echo pid $$ .; TERM={term} exec {server} --listen text://127.0.0.1:0'");
        let mut terminal = Terminal::start_command(&command);
        terminal.wait_for("pid ");
        let pid = Pid::from_raw(terminal.read_up_to(" .").parse().expect("a process id"));
        terminal.wait_for("listening on ");
        kill(pid, Signal::SIGTERM).expect("our child");
        let shown = terminal.read_to_end();
        assert!(shown.contains("stopped") && shown.contains('\x1b') == is_coloured, "{shown:?}");
    }
}

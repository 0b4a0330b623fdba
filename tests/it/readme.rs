//! README, and the pages that show commands with their output: executed with real servers.

use crate::support::consoles::{self, Console};
use crate::support::documents::{Document, root};
use crate::support::peer::Peer;
use crate::support::server::Server;
use std::fs;

const LINES_MAX: usize = 130;

#[test]
fn readme_shows_what_its_commands_print() {
    execute("README.md", 3);
}

#[test]
fn the_page_of_the_client_shows_what_its_commands_print() {
    execute("docs/client.md", 2);
}

#[test]
fn the_page_of_the_load_generator_shows_what_its_commands_print() {
    execute("docs/load.md", 1);
}

/// Runs the commands of a page, which must be at least `count`, each with one server.
fn execute(page: &str, count: usize) {
    let server = Server::start(&[]);
    let consoles = consoles::read(&Document::read(page).text);
    // The script with real netcat sessions needs Python: `netcats.rs` runs it.
    let consoles: Vec<_> =
        consoles.into_iter().filter(|console| console.command != "benches/netcats").collect();
    assert!(consoles.len() >= count, "{page} shows {} commands", consoles.len());
    for Console { line, command, output } in &consoles {
        println!("{page}:{line}: {command}");
        match command.strip_prefix("nc ") {
            Some(target) => converse(&server, target, output),
            None => consoles::check(&consoles::run(command, &server), output),
        }
    }
}

/// Runs a conversation as with `nc`: after the greeting, each line has its answer.
fn converse(server: &Server, target: &str, lines: &[String]) {
    assert_eq!(target, "127.0.0.1 40000", "a session with `text`");
    let mut peer = Peer::connect(server.address("text"));
    let (greeting, dialogue) = lines.split_first().expect("a greeting");
    consoles::check(&peer.read_line(), std::slice::from_ref(greeting));
    for pair in dialogue.chunks(2) {
        peer.send(format!("{}\n", pair[0]));
        consoles::check(&peer.read_line(), &pair[1..]);
    }
    peer.expect_eof();
}

#[test]
fn each_protocol_answers_the_command_beside_it() {
    let server = Server::start(&[]);
    let readme = Document::read("README.md").text.replace("\\|", "\u{1}");
    let rows: Vec<Vec<&str>> = readme
        .lines()
        .filter(|line| line.starts_with("| `"))
        .map(|row| row.split('|').map(|cell| cell.trim().trim_matches('`')).collect())
        .filter(|row: &Vec<_>| crate::support::PROTOCOLS.contains(&row[1]))
        .collect();
    assert_eq!(rows.len(), crate::support::PROTOCOLS.len());
    for row in rows {
        let command = row[4].replace('\u{1}', "|");
        let answer = consoles::run(&command, &server);
        assert!(!answer.is_empty() && !answer.contains("ERROR"), "{command}: {answer}");
    }
}

#[test]
fn the_round_in_readme_is_that_of_the_event_loop() {
    let calls = |text: &str| -> Vec<String> {
        let (_, body) = text.split_once("pub fn round(").expect("a round");
        let body = body.lines().skip(1).take_while(|line| !line.trim_start().starts_with("Ok("));
        let code = body.map(|line| line.split("//").next().unwrap_or_default().trim().to_owned());
        code.filter(|code| code.starts_with("self.")).collect()
    };
    let source = fs::read_to_string(root().join("core/src/server/event_loop.rs"));
    let (source, readme) = (source.expect("a source"), Document::read("README.md").text);
    assert_eq!(calls(&readme), calls(&source));
}

#[test]
fn readme_is_short() {
    let count = Document::read("README.md").text.lines().count();
    assert!(count <= LINES_MAX, "README has {count} lines");
}

#[test]
fn a_report_is_compared_by_its_words_and_not_by_its_figures() {
    let shown = "...\nVerdict  VALID\n         10 replies right\n...\np99  1.5 ms\n...";
    let shown: Vec<String> = shown.lines().map(str::to_owned).collect();
    let fits =
        |printed: &str| std::panic::catch_unwind(|| consoles::check(printed, &shown)).is_ok();
    assert!(fits("run\nVerdict  VALID\n         7 replies\n         right\n\np99  20 us\nend"));
    assert!(fits("Verdict  TOO-SHORT\n         1 s was too short\n\np99  20 us"));
    assert!(!fits("Verdict  VALID\n         7 replies wrong\n\np99  20 us"));
    assert!(!fits("Verdict  VALID\n         7 replies right\n\np50  20 us"));
    assert!(!fits("p99  20 us\nVerdict  VALID\n         7 replies right"));
}

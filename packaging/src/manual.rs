//! A manual page in section 1: the contents of the command line, and further sections.

use clap::Command;
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};

/// The contents of a page in addition to the command line.
pub struct Page {
    /// The exit codes and their meanings.
    exit_codes: &'static [(&'static str, &'static str)],
    /// Signals and their meanings.
    signals: &'static [(&'static str, &'static str)],
    /// The names of related pages.
    see_also: &'static str,
}

/// The page of the server.
pub const SERVER: Page = Page {
    exit_codes: &[
        ("0", "The server was stopped, --health found it healthy, or --check found no error."),
        ("1", "The server could not start or run, or is not healthy."),
        ("2", "A flag, a variable or the configuration file was wrong."),
    ],
    signals: &[
        ("SIGTERM, SIGINT", "Answer what has arrived, and stop. A second one stops at once."),
        (
            "SIGHUP",
            "Read the file of --config and the certificates again; stop if the terminal has \
             closed.",
        ),
        ("SIGUSR1", "Log the status."),
        (
            "SIGUSR2",
            "Drain: serve for --drain-delay without being ready, then close the connections \
             one by one and stop.",
        ),
    ],
    see_also: "tinytcp-client(1), tinytcp-load(1), systemd.socket(5)",
};

/// The page of the client.
pub const CLIENT: Page = Page {
    exit_codes: &[
        ("0", "Success."),
        (
            "1",
            "The server answered with an error, a check failed, or --count was not reached in \
             --for.",
        ),
        ("2", "The command line or a line of the script was wrong."),
        ("3", "There was no connection."),
        ("4", "The connection broke, or an answer was late or malformed."),
    ],
    signals: &[],
    see_also: "tinytcp-server(1), tinytcp-load(1)",
};

/// The page of the load generator.
pub const LOAD: Page = Page {
    exit_codes: &[
        ("0", "The verdict is valid, generator-limited, server-overloaded or tail queued."),
        ("1", "No correct reply or delivery, or fewer connections or members than requested."),
        ("2", "The command line was wrong."),
        ("3", "A condition of --fail-if was met, or --abort-if ended the run."),
        (
            "4",
            "The server stopped, sent wrong or no replies, closed held connections, or broke or \
             refused broadcasts; or the run ended before the requests of -n.",
        ),
        ("129, 130, 143", "A signal ended the run; the report is still printed."),
    ],
    signals: &[],
    see_also: "tinytcp-server(1), tinytcp-client(1)",
};

/// Returns the page of `command` in roff.
pub fn render(command: &Command, page: &Page) -> Vec<u8> {
    let examples = command.get_before_long_help().map(ToString::to_string).unwrap_or_default();
    let man = Man::new(command.clone());
    let mut roff = Vec::new();
    let written = man
        .render_title(&mut roff)
        .and_then(|()| man.render_name_section(&mut roff))
        .and_then(|()| man.render_synopsis_section(&mut roff))
        .and_then(|()| man.render_description_section(&mut roff))
        .and_then(|()| man.render_options_section(&mut roff))
        .and_then(|()| further(&examples, page).to_writer(&mut roff));
    written.expect("writing to memory never fails");
    roff
}

fn further(examples: &str, page: &Page) -> Roff {
    let mut roff = Roff::new();
    if !page.signals.is_empty() {
        list(&mut roff, "SIGNALS", page.signals);
    }
    list(&mut roff, "EXIT STATUS", page.exit_codes);
    roff.control("SH", ["ENVIRONMENT"]);
    roff.text([roman(
        "Every flag is also an environment variable: --some-flag is TINYTCP_SOME_FLAG.",
    )]);
    roff.control("SH", ["EXAMPLES"]);
    roff.control("nf", []);
    let lines = examples.lines().filter(|line| *line != "Examples:");
    roff.text(lines.flat_map(|line| [roman(line), roman("\n")]).collect::<Vec<_>>());
    roff.control("fi", []);
    roff.control("SH", ["SEE ALSO"]);
    roff.text([roman(page.see_also)]);
    roff
}

fn list(roff: &mut Roff, heading: &str, items: &[(&str, &str)]) {
    roff.control("SH", [heading]);
    for (term, meaning) in items {
        roff.control("TP", []);
        roff.text([bold(*term)]);
        roff.text([roman(*meaning)]);
    }
}

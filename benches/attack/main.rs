//! The server under attack: what honest clients notice of it, and whether everything is back when
//! it is over.
//!
//! ```text
//! cargo bench --bench attack                  # a minute
//! cargo bench --bench attack -- --quick       # the same checks in a few seconds
//! cargo bench --bench attack -- --soak 20m    # an attack of this time, and whether memory grows
//! cargo bench --bench attack -- --fairness    # polite clients beside 2 to 2000 flooders
//! cargo bench --bench attack -- --handshakes  # honest clients beside 1000 TLS handshakes a second
//! cargo bench --bench attack -- --memory      # memory under frames that lack their last byte
//! cargo bench --bench attack -- --rooms       # a room with 500 members that never read
//! ```
//!
//! 100 honest clients ask on a schedule that waits for no reply: alone, beside the attack, and
//! alone again, so that a machine that drifts shows; every second they are relieved by 100 others,
//! so that one stall of the machine is not the figure. The attackers, one file each in `crowd/`:
//!
//! | attackers | what they do |
//! |---|---|
//! | 500 that never read | ask for 60 kB a time, lines and frames, until the server takes no more |
//! | 1000 slowloris | a byte each half second of a line, or of a frame of 1 MiB; some never stop |
//! | 200 churners | 2000 connections per second: no request, half of one, or one; close or reset |
//! | 2 flooders | requests without a pause, lines and frames; every answer is compared |
//!
//! The server has one processor. The other one is for the generator of the honest load, which goes
//! first, and for the attackers. The server's timeouts are short, and its memory limit is half of
//! what the attackers would have it hold, so that it has to turn against them all the time.
//!
//! Exit code 1 when an honest client saw an error, the memory limit was passed, or a descriptor, a
//! connection or memory was not given back. That p99 is at most twice that alone is a goal,
//! reported and not enforced: a machine that has other work to do is no defect. What is checked of
//! the other parts stands in `fairness`, `handshakes`, `memory` and `rooms`. Linux only; it needs
//! 2100 descriptors, and chrt (util-linux).

mod checks;
mod choice;
mod crowd;
mod fairness;
mod generator;
mod handshakes;
mod honest;
mod journal;
mod memory;
mod polite;
#[allow(dead_code)]
#[path = "../../tests/support/process.rs"]
mod process;
#[path = "../versus/processors.rs"]
mod processors;
mod report;
mod rooms;
mod run;
mod server;
mod slope;
mod stalls;

use std::env;
use std::error::Error;

use choice::{Choice, Part};
use processors::Processors;

/// Descriptors that are no attacker's.
const DESCRIPTORS_BESIDE: u64 = 64;

fn main() -> Result<(), Box<dyn Error>> {
    // Cargo adds `--bench` to what a person wrote.
    let words: Vec<String> = env::args().skip(1).filter(|word| word != "--bench").collect();
    let part = Choice::parse(&words.iter().map(String::as_str).collect::<Vec<_>>())?;
    let needed = crowd::connections_max().max(fairness::FLOODERS_MAX) as u64 + DESCRIPTORS_BESIDE;
    if rlimit::increase_nofile_limit(u64::MAX)? < needed {
        return Err(format!("needs {needed} descriptors: `ulimit -Hn {needed}`").into());
    }
    let processors = Processors::choose()?;
    println!("{processors}.\n");
    let checks = match part {
        Part::Attack(choice) => {
            println!("Attackers: {}.\n", crowd::describe());
            let outcome = run::run(choice, processors)?;
            report::print(choice, &outcome);
            let mut checks = checks::checks(&outcome);
            if choice.is_quick {
                checks.extend(fairness::quick(processors)?);
                checks.extend(handshakes::quick(processors)?);
                checks.extend(memory::quick(processors)?);
                checks.extend(rooms::quick(processors)?);
            }
            checks
        }
        Part::Fairness => fairness::run(processors)?,
        Part::Handshakes => handshakes::run(processors)?,
        Part::Memory => memory::run(processors)?,
        Part::Rooms => rooms::run(processors)?,
    };
    for check in &checks {
        println!("- {}: {}", if check.holds { "yes" } else { "NO" }, check.statement);
    }
    let failures: Vec<&str> =
        checks.iter().filter(|check| !check.holds).map(|check| &*check.statement).collect();
    if failures.is_empty() { Ok(()) } else { Err(failures.join("; ").into()) }
}

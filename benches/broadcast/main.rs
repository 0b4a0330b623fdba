//! Broadcast beside others: one message to all subscribers, on our server, redis and nats-server.
//!
//! ```text
//! cargo bench --bench broadcast                    # everything, in five minutes
//! cargo bench --bench broadcast -- --quick         # each row for a second or two
//! cargo bench --bench broadcast -- 1000 burst ours # these rows, of these servers only
//! ```
//!
//! | row | load |
//! |---|---|
//! | `1000` | 1,000 subscribers, 20 messages of 100 bytes per second |
//! | `10000` | 10,000 subscribers, 2 messages per second |
//! | `silent` | 1,000 subscribers of which 1 % never read, 20 messages per second |
//! | `dead` | 100 subscribers, none of which reads, 10 MB in messages of 4,000 bytes |
//! | `burst` | 1,000 subscribers, 100 messages at once |
//!
//! The figures of a row: processor time of the server per delivery, user time and all time; p50 and
//! p99 of a delivery, from the moment at which its message was due; the growth of resident memory;
//! p99 and maximum of the pings of a bystander. The bystander sends a request each millisecond,
//! over another protocol where the server has one. In `burst` there is also the number of sends
//! that strace counts, without those to the bystander.
//!
//! The *floor* is the kernel's part: one thread that sends each message to each connection, and
//! does nothing else. It runs in each row before the servers.
//!
//! A server runs on one processor, the subscribers and the bystander on another. A server or strace
//! that is not installed is a note under the table. Linux only.

mod bystander;
mod crowd;
mod floor;
#[allow(dead_code)]
#[path = "../versus/processors.rs"]
mod processors;
mod protocol;
mod rows;
mod server;

use std::env;
use std::error::Error;

use processors::Processors;
use protocol::Protocol;
use rows::{Figures, ROWS, Row};
use server::Server;

fn main() -> Result<(), Box<dyn Error>> {
    // Cargo adds `--bench` to the words of the user.
    let words: Vec<String> = env::args().skip(1).filter(|word| word != "--bench").collect();
    let is_quick = words.iter().any(|word| word == "--quick");
    let names: Vec<&str> = words.iter().map(String::as_str).filter(|w| *w != "--quick").collect();
    let is_known = |name: &&&str| {
        ROWS.iter().any(|row| row.name == **name)
            || Protocol::ALL.iter().any(|protocol| protocol.name() == **name)
    };
    if let Some(unknown) = names.iter().find(|name| !is_known(name)) {
        let rows: Vec<&str> = ROWS.iter().map(|row| row.name).collect();
        let servers: Vec<&str> = Protocol::ALL.iter().map(|protocol| protocol.name()).collect();
        let (rows, servers) = (rows.join(" "), servers.join(" "));
        return Err(format!("`{unknown}` is no row ({rows}) and no server ({servers})").into());
    }
    rlimit::increase_nofile_limit(u64::MAX)?;
    let processors = Processors::choose()?;
    println!("{processors}.\n");
    for row in ROWS.iter().filter(|row| is_chosen(&names, row.name, &ROWS.map(|row| row.name))) {
        print_row(row, processors, &names, is_quick)?;
    }
    Ok(())
}

/// Returns true if `name` is among the chosen ones of `all`, or if none of them was chosen.
fn is_chosen(chosen: &[&str], name: &str, all: &[&str]) -> bool {
    chosen.contains(&name) || !chosen.iter().any(|word| all.contains(word))
}

fn print_row(
    row: &Row,
    processors: Processors,
    names: &[&str],
    is_quick: bool,
) -> Result<(), Box<dyn Error>> {
    println!("**{}**: {}\n", row.name, row.description());
    println!("{}", Figures::HEADER);
    let floor_us = floor::send_us(processors, row, is_quick)?;
    println!("| floor | | {floor_us:.2} | | | | | | |");
    let mut notes = Vec::new();
    for protocol in Protocol::ALL {
        if !is_chosen(names, protocol.name(), &Protocol::ALL.map(Protocol::name)) {
            continue;
        }
        eprintln!("{}: {}", row.name, protocol.name());
        let measured = Server::start(protocol, processors)
            .and_then(|server| rows::measure(row, protocol, &server, is_quick));
        match measured {
            Ok(figures) => println!("{}", figures.line(protocol.name(), floor_us)),
            Err(error) => notes.push(format!("{}: {error}.", protocol.name())),
        }
    }
    println!("\n{}{}", notes.join("\n"), if notes.is_empty() { "" } else { "\n" });
    Ok(())
}

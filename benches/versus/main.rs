//! The server beside others: the same load on each of them in turn, for several rounds, and a table
//! of it.
//!
//! ```text
//! cargo bench --bench versus                                  # everything, in ten minutes
//! cargo bench --bench versus -- --quick                       # one short round of everything
//! cargo bench --bench versus -- depth=128 large text floor    # these rows, of these servers only
//! cargo bench --bench versus -- --against PATH text floor     # beside another tinytcp-server
//! ```
//!
//! | row | load |
//! |---|---|
//! | `depth=N` | 50 connections, N requests in flight on each: 1, 16, 128 or 1024 |
//! | `mix` | 50 connections, 128 in flight on each: `ECHO`, `TIME`, `HELP`, `echo`, no command |
//! | `many` | 19,000 connections, one request at a time on each |
//! | `large` | 8 connections, 4 messages of 64 KiB in flight on each |
//! | `churn` | connect, one request, close; 8 at a time; with TLS, each handshake is a full one |
//! | `resumed` | the same with resumed handshakes |
//! | `polite` | one client, one request at a time, beside 8 connections with 1024 in flight each |
//! | `memory` | 9,000 connections, each used once and then idle |
//!
//! In `churn` the floor greets, as `text` does. The goals in the tables are ratios to the floor on
//! a quiet machine.
//!
//! Servers: `text`, `binary`, `echo` and `chat` are ours, one process for each; `floor`, `tokio`,
//! `threads` and `python` are in `benches/peers`; `redis` and `memcached` are the installed
//! programs. Encrypted are `text+tls`, ours; `tokio+tls`, a line echo on tokio-rustls; and
//! `haproxy`, `nginx` and `stunnel`, which terminate TLS before the floor, so that their figures
//! include both processes.
//!
//! A server runs on one processor and the generator, `tinytcp-load`, on another. The first figure
//! of a row is the server's processor time per answer, user and system, of all its threads. It is
//! steadier than the rate, and its ratio to the floor of the same round is steadier still. Rates
//! and latencies are those of server and generator together, because the fastest servers wait for
//! the generator. A figure that the machine is too slow or too busy to measure is a dash, with a
//! note under the table. Only wrong answers, or a server of ours that does not start, make the
//! bench fail. Linux only.

mod choice;
mod contenders;
mod encryption;
mod generator;
mod processors;
mod protocol;
mod rows;
mod server;
mod statistics;
mod table;

use std::error::Error;

use choice::Choice;
use processors::Processors;
use rows::Bench;
use table::{Results, print};

fn main() -> Result<(), Box<dyn Error>> {
    let choice = Choice::from_arguments()?;
    let descriptors = rlimit::increase_nofile_limit(u64::MAX)?;
    contenders::build_peers()?;
    let bench = Bench { processors: Processors::choose()?, is_quick: choice.is_quick };
    println!("{}.", bench.processors);
    println!(
        "Medians of the rounds, and in parentheses the least and the most. In a round each server \
         has one turn.\n"
    );
    let mut all = Vec::new();
    for row in choice.rows {
        if row.descriptors() > descriptors {
            println!(
                "`{}` needs {} descriptors; the limit is {descriptors} (`ulimit -Hn`).\n",
                row.name,
                row.descriptors()
            );
            continue;
        }
        let mut results = Results::new(row, &choice.contenders);
        for round in 0..bench.rounds(row) {
            for (index, contender) in choice.contenders.iter().enumerate() {
                eprintln!("{}, round {}: {}", row.name, round + 1, contender.name);
                results.measure(index, || bench.measure(row, contender));
            }
        }
        print(&results);
        all.push(results);
    }
    encryption::Certificate::remove();
    table::print_summary(&all);
    let defects: Vec<String> = all.iter().flat_map(Results::defects).collect();
    if defects.is_empty() { Ok(()) } else { Err(defects.join("; ").into()) }
}

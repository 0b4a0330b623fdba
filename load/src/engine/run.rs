//! A run: it starts the threads, combines their counts, and ends in time whatever the server does.

use std::io;
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::SystemTime;

use super::collector::{Collector, Observer};
use super::interruption::Interruption;
use super::start_barrier::StartBarrier;
use super::worker::Worker;
use crate::error::LoadError;
use crate::measurement::outcome::RunOutcome;
use crate::traffic::plan::Plan;

/// Executes `plan` and returns its outcome. Takes at most the plan's duration plus its timeout, and
/// ends within milliseconds once interrupted.
///
/// # Errors
/// Fails if a thread or a poller cannot be created.
pub fn run(
    plan: Plan,
    interruption: &Interruption,
    observer: &mut impl Observer,
) -> Result<RunOutcome, LoadError> {
    let plan = Arc::new(plan);
    let started = SystemTime::now();
    let barrier = Arc::new(StartBarrier::new(plan.settings.threads));
    let (sender, receiver) = mpsc::channel();
    let mut threads = Vec::new();
    for index in 0..plan.settings.threads {
        let worker = Worker::new(index, Arc::clone(&plan), Arc::clone(&barrier), sender.clone())
            .map_err(system("watch sockets", "raise the open-file limit: `ulimit -n`"))?;
        let name = format!("generator {index}");
        let thread = thread::Builder::new().name(name).spawn(move || worker.run());
        threads.push(thread.map_err(system("start a thread", "use fewer --threads"))?);
    }
    drop(sender);
    let collected =
        Collector::new(&plan, &barrier, started).collect(&receiver, interruption, observer);
    for thread in threads {
        match thread.join() {
            Ok(result) => result.map_err(system("wait for events", "start the run again"))?,
            Err(_) => return Err(LoadError::ThreadFailed),
        }
    }
    Ok(collected.outcome(interruption.signal()))
}

/// Returns the function that makes the error of `action`.
fn system(action: &'static str, remedy: &'static str) -> impl FnOnce(io::Error) -> LoadError {
    move |error| LoadError::System { action, error, remedy }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream};
    use std::time::Duration;

    use tinytcp_core::os::endpoint::Endpoint;

    use super::*;
    use crate::fixtures;
    use crate::measurement::logged_request::RequestLog;
    use crate::measurement::outcome::Slice;
    use crate::measurement::settings::Opening;

    /// An observer that ignores all events.
    struct Blind;

    impl Observer for Blind {
        fn opening(&mut self, _: usize, _: usize) {}
        fn step(&mut self, _: &Slice, _: u64, _: Duration) {}
        fn requests(&mut self, _: RequestLog) {}
        fn goes_on(&mut self, _: &Collector<'_>) -> bool {
            true
        }
        fn finish(&mut self) {}
    }

    fn echo(mut stream: TcpStream) -> io::Result<()> {
        let mut block = [0; 4096];
        loop {
            match stream.read(&mut block)? {
                0 => return Ok(()),
                len => stream.write_all(&block[..len])?,
            }
        }
    }

    /// Serves echo at a port of this loopback address.
    fn serve(host: [u8; 4]) -> Endpoint {
        let listener = TcpListener::bind((std::net::IpAddr::from(host), 0)).expect("a free port");
        let address = listener.local_addr().expect("bound");
        thread::spawn(move || {
            listener.incoming().flatten().for_each(|stream| {
                thread::spawn(move || echo(stream));
            });
        });
        Endpoint::Tcp(address)
    }

    #[test]
    fn spread_connections_are_counted_by_address() {
        // The port of a socket that does not listen stays free of listeners.
        let closed = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None)
            .expect("a socket");
        closed.bind(&std::net::SocketAddr::from(([127, 0, 0, 1], 0)).into()).expect("a free port");
        let closed_address = closed.local_addr().expect("bound").as_socket().expect("TCP");
        let mut plan = fixtures::plan(4, 2, Opening::AtOnce);
        plan.is_spread = true;
        plan.endpoints =
            vec![serve([127, 0, 0, 1]), Endpoint::Tcp(closed_address), serve([127, 0, 0, 2])];
        plan.settings.warmup = Duration::ZERO;
        plan.settings.requests = Some(40);
        let names: Vec<String> = plan.endpoints.iter().map(ToString::to_string).collect();
        let outcome = run(plan, &Interruption::default(), &mut Blind).expect("a run");
        assert_eq!(outcome.addresses, names);
        let mut by_address = outcome.total.by_address;
        let counts = [0, 1, 2].map(|address| by_address.of(address).clone());
        assert_eq!(counts.each_ref().map(|counts| counts.opened), [2, 0, 1]);
        assert!(counts[1].failed > 0 && counts[1].correct == 0, "{counts:?}");
        assert!(counts[0].correct > 0 && counts[2].correct > 0, "{counts:?}");
        assert_eq!(counts[0].correct + counts[2].correct, 40);
        assert_eq!(counts.iter().map(|counts| counts.latency.count()).sum::<u64>(), 40);
    }
}

//! The state of a running server, as a handle returns it to another thread.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tinytcp::protocol::{Text, echo};
use tinytcp::{CloseReason, Handle, Server, State, Status};
use tinytcp_core::protocol::text::BANNER;

use crate::support::wait::{Countdown, PATIENCE};

/// Starts a server of `text` and `echo` in a new thread.
fn start() -> (Handle, [SocketAddr; 2], JoinHandle<std::io::Result<Status>>) {
    let any = ([127, 0, 0, 1], 0);
    let server = Server::builder().listen(any, Text::new()).listen(any, echo());
    let server = server.build().expect("free ports");
    let addrs =
        [0, 1].map(|index: usize| server.addresses()[index].addr().expect("a listener of TCP"));
    (server.handle(), addrs, thread::spawn(|| server.run()))
}

/// Opens a connection of `text`, reads the greeting, and the answer to `request`.
fn served(addr: SocketAddr, request: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(addr).expect("the server listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout above zero");
    stream.write_all(request).expect("the server reads");
    let mut answers = vec![0; BANNER.len() + 1 + request.len()];
    stream.read_exact(&mut answers).expect("answers in time");
    stream
}

/// Returns the state of the server, once `is_so` is true of it.
fn status_when(handle: &Handle, is_so: impl Fn(&Status) -> bool) -> Status {
    let mut countdown = Countdown::start(PATIENCE);
    loop {
        let status = handle.status().expect("the server runs");
        if is_so(&status) {
            return status;
        }
        assert!(!countdown.is_over(), "{status:?}");
        thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn counters_of_each_listener_move_with_its_traffic() {
    let (handle, [text, echo], running) = start();
    let streams = [1, 2].map(|_| served(text, b"ECHO hello\n"));
    let status = status_when(&handle, |status| status.listeners[0].counters.messages == 2);
    let [of_text, of_echo] = &status.listeners[..] else { panic!("{status:?}") };
    assert_eq!(
        (of_text.protocol, of_text.url.as_str()),
        ("text", format!("text://{text}").as_str())
    );
    assert_eq!(
        (of_echo.protocol, of_echo.url.as_str()),
        ("echo", format!("echo://{echo}").as_str())
    );
    let counters = &of_text.counters;
    assert_eq!((counters.accepted, counters.open(), counters.closed_in_all()), (2, 2, 0));
    assert_eq!(
        (counters.received_bytes, counters.sent_bytes),
        (22, 2 * (BANNER.len() + 1 + 11) as u64)
    );
    assert_eq!((of_echo.counters.accepted, status.total().open()), (0, 2));
    assert!(status.state == State::Serving && status.uptime > Duration::ZERO);
    drop(streams);
    let status = status_when(&handle, |status| status.total().open() == 0);
    assert_eq!(status.total().closed_for(CloseReason::PeerClosed), 2);
    handle.stop();
    running.join().expect("no panic").expect("no failure");
}

#[test]
fn run_returns_the_last_state_and_a_handle_gets_no_more() {
    let (handle, [text, _], running) = start();
    let stream = served(text, b"ECHO hello\n");
    handle.stop();
    let status = running.join().expect("no panic").expect("no failure");
    assert_eq!(status.state, State::Stopping);
    assert_eq!((status.total().messages, status.total().closed_for(CloseReason::Shutdown)), (1, 1));
    assert_eq!(handle.status(), None);
    // A server that has ended answers no request for its state.
    handle.stop();
    drop(stream);
}

#[test]
fn many_threads_get_the_state_at_once() {
    let (handle, _, running) = start();
    let threads = [(); 8].map(|()| {
        let handle = handle.clone();
        thread::spawn(move || (0..200).all(|_| handle.status().is_some()))
    });
    for thread in threads {
        assert!(thread.join().expect("no panic"));
    }
    handle.stop();
    running.join().expect("no panic").expect("no failure");
}

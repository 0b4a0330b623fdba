//! The listeners of a server, and the one line of an error if it cannot listen.

use crate::support::BANNER;
use crate::support::complaint::{check_failure, run};
use crate::support::open_files::OpenFiles;
use crate::support::peer::Peer;
use crate::support::server::{Server, listen_flags, program, program_under};
use socket2::{Domain, Socket, Type};
use std::net::{SocketAddr, TcpListener, TcpStream};

#[test]
fn a_port_in_use_is_one_line_and_exit_1() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("any port");
    let url = format!("text://{}", taken.local_addr().expect("a bound socket has an address"));
    check_failure(program().args(["--listen", &url]), 1, &[&url, "in use"]);
}

#[test]
fn a_port_that_another_server_holds_is_in_use() {
    let server = Server::start(&[]);
    let url = format!("echo://{}", server.address("text"));
    let parts = [url.as_str(), "in use", "another program listens there: stop it", "--listen"];
    check_failure(program().args(["--listen", &url]), 1, &parts);
}

/// Returns a connection from a port of `host`, and the end that accepted it. Two connections from
/// 127.0.0.1 to different servers can have one port, so each test connects from its own host.
fn outgoing_connection(host: &str) -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.83.71.9:0").expect("any port");
    let any_port: SocketAddr = format!("{host}:0").parse().expect("an address");
    let client = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    client.bind(&any_port.into()).expect("any port");
    client.connect(&listener.local_addr().expect("bound").into()).expect("it listens");
    let (accepted, _) = listener.accept().expect("it is there");
    (client.into(), accepted)
}

#[test]
fn a_port_of_an_outgoing_connection_is_named_as_such() {
    let (client, _accepted) = outgoing_connection("127.83.71.10");
    let url = format!("text://{}", client.local_addr().expect("connected"));
    let parts = [url.as_str(), "an outgoing connection uses this port", "60 s after its end"];
    check_failure(program().args(["--listen", &url]), 1, &parts);
}

#[test]
fn a_port_held_by_a_closed_connection_is_named_free_in_a_minute() {
    let (client, accepted) = outgoing_connection("127.83.71.11");
    let addr = client.local_addr().expect("connected");
    // The end that closes first holds the port.
    drop(client);
    drop(accepted);
    crate::support::wait::wait_until("the connection is closed", || {
        tinytcp_core::os::port_holder::find(addr)
            == Some(tinytcp_core::os::port_holder::Holder::ClosedConnection)
    });
    let url = format!("text://{addr}");
    check_failure(
        program().args(["--listen", &url]),
        1,
        &[&url, "a closed connection used this port", "free within 60 s: wait"],
    );
}

#[test]
fn two_listeners_with_one_address_are_both_named() {
    let urls = ["--listen", "text://127.83.71.4:4000", "--listen", "echo://127.83.71.4:4000"];
    let parts = [
        "echo://127.83.71.4:4000",
        "another listener of this server has 127.83.71.4:4000",
        "each address once",
    ];
    check_failure(program().args(urls), 1, &parts);
    let everywhere = ["--listen", "text://0.0.0.0:4000", "--listen", "text://127.83.71.4:4000"];
    check_failure(
        program().args(everywhere),
        1,
        &["another listener of this server has 0.0.0.0:4000"],
    );
}

#[test]
fn an_unreachable_address_is_refused_and_a_working_one_named() {
    for (url, advice) in [
        ("text://[::ffff:127.0.0.1]:4000", "write it as text://127.0.0.1:4000"),
        ("chat://[fe80::1]:4000", "chat://[fe80::1%eth0]:4000"),
        ("echo://224.0.0.1:4000", "multicast"),
        ("echo://[ff02::1]:4000", "multicast"),
    ] {
        check_failure(program().args(["--listen", url]), 1, &[url, advice]);
    }
}

#[test]
fn a_default_listener_that_cannot_start_is_only_a_warning() {
    let taken = TcpListener::bind("127.83.71.2:9999").expect("nothing else uses this address");
    let mut command = program();
    command.args(["--host", "127.83.71.2"]);
    let server = Server::launch_listening(command, 3);
    server.wait_for_log(&["WARN", "chat://127.83.71.2:9999", "another program listens there"]);
    server.text();
    drop(server);
    drop(taken);
}

#[test]
fn without_any_default_listener_the_first_one_is_named() {
    let ports = [40000, 65432, 8888, 9999];
    let _taken = ports.map(|port| {
        TcpListener::bind(("127.83.71.6", port)).expect("nothing else uses this address")
    });
    check_failure(
        program().args(["--host", "127.83.71.6"]),
        1,
        &["text://127.83.71.6:40000", "another program"],
    );
}

#[test]
fn every_listener_is_printed_however_many_there_are() {
    const LISTENERS: usize = 1500;
    // The server inherits the limit of this process.
    let _open_files = OpenFiles::take(LISTENERS);
    let mut command = program();
    command.args((0..LISTENERS).flat_map(|_| ["--listen", "text://127.83.71.5:0"]));
    let server = Server::launch_listening(command, LISTENERS);
    server.text();
}

#[test]
fn a_file_limit_without_room_for_a_connection_is_exit_1() {
    for limit in 8..=12 {
        let mut command = program_under(&["prlimit", &format!("--nofile={limit}")]);
        command.args(["--listen", "text://127.0.0.1:0", "-q"]);
        let mut server = Server::launch_only(command);
        crate::support::wait::wait_until("it starts or ends", || {
            !server.printed.raw().is_empty() || !server.is_running()
        });
        if server.is_running() {
            server.read_addresses(1);
            server.text();
            assert!(limit > 9, "it starts with {limit} descriptors");
            continue;
        }
        assert_eq!(server.wait_for_exit().code(), Some(1), "{limit}");
        let said = server.log.text();
        assert_eq!(said.len(), 1, "{said:#?}");
        assert!(said[0].contains("open files") && said[0].contains("ulimit -n"), "{said:#?}");
    }
}

#[test]
fn an_unknown_host_is_one_line_and_exit_1() {
    check_failure(
        program().args(["--listen", "text://no-such-host.invalid:0"]),
        1,
        &["no-such-host.invalid"],
    );
}

#[test]
fn an_address_of_another_machine_is_one_line_and_exit_1() {
    // From the block that RFC 5737 reserves for documentation: no machine has this address.
    check_failure(program().args(["--listen", "text://192.0.2.1:0"]), 1, &["192.0.2.1"]);
}

#[test]
fn one_listener_that_cannot_be_had_stops_the_start() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("any port");
    let url = format!("chat://{}", taken.local_addr().expect("a bound socket has an address"));
    // The other listeners may be announced before the start fails.
    let ended = run(program().args(listen_flags()).args(["--listen", &url]));
    assert_eq!(ended.code, Some(1), "{ended:?}");
    ended.complaining_in_one_line("tinytcp-server").saying(&url).saying("in use");
}

#[test]
fn port_0_picks_a_port_and_prints_it() {
    let server = Server::start(&[]);
    for protocol in crate::support::PROTOCOLS {
        assert_ne!(server.address(protocol).port(), 0);
        drop(server.connect(protocol));
    }
}

#[test]
fn several_listeners_may_speak_the_same_protocol() {
    let mut command = program();
    command.args(["--listen", "text://127.0.0.1:0", "--listen", "text://127.0.0.1:0"]);
    let server = Server::launch_listening(command, 2);
    for line in server.printed.text() {
        let address = line.strip_prefix("listening on text://").expect("a listener for text");
        Peer::connect(address.parse().expect("a numeric address")).expect(BANNER);
    }
}

#[test]
fn a_listener_may_be_of_ipv6() {
    let mut command = program();
    command.args(["--listen", "text://[::1]:0"]);
    if TcpListener::bind("[::1]:0").is_err() {
        // A machine without IPv6: the server reports the address that was requested.
        return check_failure(&mut command, 1, &["[::1]"]);
    }
    let server = Server::launch_listening(command, 1);
    assert!(server.printed.text()[0].starts_with("listening on text://[::1]:"));
    server.connect("text").expect(BANNER);
}

#[test]
fn a_host_may_be_a_name() {
    let mut command = program();
    command.args(["--listen", "text://localhost:0"]);
    let server = Server::launch_listening(command, 1);
    server.connect("text").expect(BANNER);
}

#[test]
fn host_moves_the_default_listeners() {
    // Nothing else uses this address of the loopback, so that the default ports are free there.
    let mut command = program();
    command.args(["--host", "127.83.71.1"]);
    let server = Server::launch_listening(command, 4);
    let mut lines = server.printed.text();
    lines.sort();
    assert_eq!(
        lines,
        [
            "listening on binary://127.83.71.1:65432",
            "listening on chat://127.83.71.1:9999",
            "listening on echo://127.83.71.1:8888",
            "listening on text://127.83.71.1:40000",
        ]
    );
    server.text();
}

#[test]
fn a_server_that_was_killed_leaves_its_port_free() {
    let mut server = Server::start(&[]);
    let url = format!("text://{}", server.address("text"));
    // Connections of the dead server linger in the kernel; they must not hold the port.
    let mut peer = server.text();
    peer.send("QUIT\n");
    peer.read_to_end();
    let held = server.text();
    server.process().signal("KILL");
    server.wait_for_exit();
    let mut command = program();
    command.args(["--listen", &url]);
    let next = Server::launch_listening(command, 1);
    next.text();
    drop(held);
}

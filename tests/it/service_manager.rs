//! The service manager of the server, such as systemd: notifications, sockets that it passes, and
//! ports that several processes share.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::OwnedFd;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr as UnixAddr, UnixDatagram, UnixListener, UnixStream};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use socket2::{Domain, Socket, Type};

use crate::support::BANNER;
use crate::support::certificates::Files;
use crate::support::peer::Peer;
use crate::support::server::{Server, listen_flags, program, program_under};
use crate::support::unix::Folder;
use crate::support::wait::{PATIENCE, uninterrupted, wait_for, wait_until};

/// Reads notifications until one contains `part`, and returns it.
#[track_caller]
fn notification(manager: &UnixDatagram, part: &str) -> String {
    manager.set_read_timeout(Some(PATIENCE)).expect("a timeout above zero");
    loop {
        let mut bytes = [0; 1024];
        let received = uninterrupted(|| manager.recv(&mut bytes));
        let len = received.unwrap_or_else(|error| panic!("{part}: {error}"));
        let text = String::from_utf8_lossy(&bytes[..len]).into_owned();
        if text.contains(part) {
            return text;
        }
    }
}

/// Starts a server whose environment has `variables`.
fn launch(variables: &[(&str, &str)]) -> Server {
    let mut command = program();
    command.args(listen_flags()).envs(variables.iter().copied());
    Server::launch(command)
}

#[test]
fn the_manager_is_notified_of_ready_status_and_stopping() {
    let folder = Folder::new("notify");
    let path = folder.0.join("notify");
    let manager = UnixDatagram::bind(&path).expect("a free path");
    let server = launch(&[("NOTIFY_SOCKET", path.to_str().expect("a path in UTF-8"))]);
    let ready = notification(&manager, "READY=1\n");
    assert!(ready.contains("STATUS=serving: 0 of "), "{ready}");
    let _open = server.text();
    server.process().signal("USR2");
    notification(&manager, "STATUS=draining: ");
    server.process().signal("TERM");
    notification(&manager, "STOPPING=1\n");
}

#[test]
fn the_manager_is_notified_when_a_reload_begins_and_ends() {
    let folder = Folder::new("notify-reload");
    let path = folder.0.join("notify");
    let manager = UnixDatagram::bind(&path).expect("a free path");
    // A server with a terminal stops when the terminal hangs up.
    let mut command = program_under(&["setsid"]);
    command.args(listen_flags()).env("NOTIFY_SOCKET", &path);
    let server = Server::launch(command);
    notification(&manager, "READY=1\n");
    server.process().signal("HUP");
    notification(&manager, "RELOADING=1\nMONOTONIC_USEC=");
    notification(&manager, "READY=1\n");
}

#[test]
fn the_loop_feeds_the_watchdog_at_an_abstract_address() {
    let name = format!("tinytcp-test-watchdog-{}", std::process::id());
    let addr = UnixAddr::from_abstract_name(&name).expect("a short name");
    let manager = UnixDatagram::bind_addr(&addr).expect("a free name");
    let server = launch(&[("NOTIFY_SOCKET", &format!("@{name}")), ("WATCHDOG_USEC", "100000")]);
    for _ in 0..3 {
        notification(&manager, "WATCHDOG=1\n");
    }
    server.freeze();
    // Notifications from the time before may be queued.
    manager.set_nonblocking(true).expect("a mode of the socket");
    while manager.recv(&mut [0; 1024]).is_ok() {}
    thread::sleep(std::time::Duration::from_millis(300));
    assert!(manager.recv(&mut [0; 1024]).is_err(), "a loop that hangs feeds no watchdog");
    manager.set_nonblocking(false).expect("a mode of the socket");
    server.thaw();
    notification(&manager, "WATCHDOG=1\n");
}

#[test]
fn a_manager_that_reads_nothing_does_not_stall_the_loop() {
    let folder = Folder::new("notify-full");
    let path = folder.0.join("notify");
    let manager = UnixDatagram::bind(&path).expect("a free path");
    let server = launch(&[
        ("NOTIFY_SOCKET", path.to_str().expect("a path in UTF-8")),
        ("WATCHDOG_USEC", "2000"),
    ]);
    server.wait_for_log(&["cannot notify the service manager"]);
    let mut peer = server.text();
    peer.send("ECHO still here\n");
    peer.expect("ECHO still here\n");
    notification(&manager, "READY=1\n");
}

#[test]
fn a_wrong_notify_socket_is_a_warning() {
    let server = launch(&[("NOTIFY_SOCKET", "nowhere"), ("WATCHDOG_USEC", "soon")]);
    server.wait_for_log(&["NOTIFY_SOCKET is wrong"]);
    server.text();
}

/// Starts a server to which the service manager passes `socket` with `name`.
fn activated(socket: impl Into<OwnedFd>, name: &str, flags: &[&str]) -> Server {
    // The manager passes descriptor 3, and the number of the process.
    let pass = "exec 3<&0 </dev/null; export LISTEN_PID=$$; exec \"$@\"";
    let mut command = program_under(&["sh", "-c", pass, "sh"]);
    command.envs([("LISTEN_FDS", "1"), ("LISTEN_FDNAMES", name)]).args(flags);
    Server::launch_with_input(command, Stdio::from(socket.into()))
}

/// Returns the only line of a server that refuses a passed socket.
#[track_caller]
fn refusal(socket: impl Into<OwnedFd>, name: &str, flags: &[&str]) -> String {
    let mut server = activated(socket, name, flags);
    assert_eq!(server.wait_for_exit().code(), Some(1));
    let lines = server.log.text();
    assert_eq!(lines.len(), 1, "{lines:?}");
    lines[0].clone()
}

fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let addr = listener.local_addr().expect("it is bound");
    (listener, addr)
}

#[test]
fn a_passed_socket_serves_the_protocol_that_it_is_named_after() {
    let (listener, addr) = listener();
    // The peer connects while no server runs, and waits in the queue of the socket.
    let mut peer = Peer::connect(addr);
    let mut server = activated(listener.try_clone().expect("a descriptor"), "text", &[]);
    server.read_addresses(1);
    assert_eq!(server.address("text"), addr);
    peer.expect(BANNER);
    server.process().signal("TERM");
    peer.expect("BYE\n");
    drop(peer);
    assert!(server.wait_for_exit().success());
    // The socket is still open, so a client waits for the next server.
    let mut peer = Peer::connect(addr);
    let _next = activated(listener, "text", &[]);
    peer.expect(BANNER);
}

#[test]
fn a_reload_reads_the_certificate_of_a_passed_socket() {
    let files = Files::new("passed-tls");
    let flags = files.flags();
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    let mut server = activated(listener().0, "text+tls", &flags);
    server.read_addresses(1);
    server.process().signal("HUP");
    server.wait_for_log(&["reloaded: no setting and no certificate has changed"]);
}

#[test]
fn a_passed_socket_that_is_encrypted_needs_a_certificate() {
    let line = refusal(listener().0, "text+tls", &[]);
    let remedy = "add --tls-cert FILE and --tls-key FILE, or --tls-self-signed for a trial";
    assert!(line.ends_with(remedy), "{line}");
}

#[test]
fn a_passed_socket_that_shares_its_port_serves_the_next_process() {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    socket.set_reuse_port(true).expect("an option of Linux");
    socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).expect("a free port");
    socket.listen(16).expect("it is bound");
    let listener = TcpListener::from(socket);
    let addr = listener.local_addr().expect("it is bound");
    let mut server = activated(listener.try_clone().expect("a descriptor"), "text", &[]);
    server.read_addresses(1);
    server.process().signal("TERM");
    assert!(server.wait_for_exit().success());
    let _next = activated(listener, "text", &[]);
    Peer::connect(addr).expect(BANNER);
}

#[test]
fn a_passed_unix_socket_keeps_its_file() {
    let folder = Folder::new("passed");
    let path = folder.socket();
    let listener = UnixListener::bind(&path).expect("a free path");
    let mut server = activated(listener, "echo", &[]);
    let url = format!("listening on echo+unix://{}", path.display());
    wait_until("the server serves the socket", || server.printed.text() == [url.as_str()]);
    server.process().signal("TERM");
    assert!(server.wait_for_exit().success());
    assert!(path.exists(), "the file belongs to the service manager");
}

#[test]
fn passed_sockets_replace_default_listeners_and_join_the_flag() {
    let (listener, addr) = listener();
    let mut server = activated(listener, "text", &["--listen", "echo://127.0.0.1:0"]);
    server.read_addresses(2);
    assert_eq!(server.address("text"), addr);
    server.connect("echo");
}

#[test]
fn an_unusable_passed_socket_is_refused_in_one_line() {
    let no_name = refusal(listener().0, "tinytcp.socket", &[]);
    assert!(no_name.contains("\"tinytcp.socket\", is not named after a protocol"), "{no_name}");
    let datagrams = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    let wrong_kind = refusal(datagrams, "text", &[]);
    assert!(wrong_kind.contains("is no stream socket; use ListenStream="), "{wrong_kind}");
    let (listener, addr) = listener();
    let connected = TcpStream::connect(addr).expect("it listens");
    let no_listener = refusal(connected, "text", &[]);
    assert!(no_listener.contains("use Accept=no"), "{no_listener}");
    let host = refusal(listener, "text", &["--host", "127.0.0.1"]);
    assert!(host.contains("--host (TINYTCP_HOST) moves the default listeners"), "{host}");
}

/// Repeats until `is_over`: connects, sends a request and reads its answer. Returns the number of
/// answers.
fn churn(addr: SocketAddr, is_over: &AtomicBool) -> usize {
    let mut answers = 0;
    while !is_over.load(Ordering::Relaxed) {
        let mut stream = TcpStream::connect(addr).expect("a process listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout above zero");
        stream.write_all(b"ECHO hello\nQUIT\n").expect("the server reads");
        let lines: Vec<_> = BufReader::new(stream).lines().map_while(Result::ok).collect();
        assert_eq!(lines.get(1..), Some(&["ECHO hello".to_owned(), "BYE".to_owned()][..]));
        answers += 1;
    }
    answers
}

#[test]
fn a_process_that_drains_loses_no_connection_of_a_shared_port() {
    let flags = ["--reuse-port", "--drain-delay", "off", "--activity-log", "off"];
    let first = Server::start(&flags);
    let addr = first.address("text");
    let listen = format!("text://{addr}");
    let mut second = Server::launch_only({
        let mut command = program();
        command.args(flags).args(["--listen", &listen]);
        command
    });
    second.read_addresses(1);
    let is_over = AtomicBool::new(false);
    let answers: usize = thread::scope(|scope| {
        let clients: Vec<_> = (0..4).map(|_| scope.spawn(|| churn(addr, &is_over))).collect();
        first.process().signal("USR2");
        first.wait_for_log(&["left the shared ports"]);
        is_over.store(true, Ordering::Relaxed);
        clients.into_iter().map(|client| client.join().expect("no connection is lost")).sum()
    });
    assert!(answers > 0);
    assert!(first.process().listening_ports().is_empty(), "the process has left");
    let mut peer = second.text();
    peer.send("ECHO hello\n");
    peer.expect("ECHO hello\n");
}

#[test]
fn a_port_is_shared_only_if_both_processes_ask_for_it() {
    let first = Server::start(&[]);
    let listen = format!("text://{}", first.address("text"));
    for flags in [&["--listen", &listen][..], &["--listen", &listen, "--reuse-port"]] {
        let mut command = program();
        command.args(flags);
        let mut second = Server::launch_only(command);
        assert_eq!(second.wait_for_exit().code(), Some(1), "{flags:?}");
    }
}

#[test]
#[ignore = "needs systemd-socket-activate"]
fn systemd_passes_several_sockets_by_their_names() {
    let folder = Folder::new("activate");
    let [text, echo] = ["text", "echo"].map(|name| folder.0.join(name));
    let [text_arg, echo_arg] = [&text, &echo].map(|path| format!("--listen={}", path.display()));
    let activate = ["systemd-socket-activate", &text_arg, &echo_arg, "--fdname=text:echo"];
    let _server = Server::launch_only(program_under(&activate));
    let connect = |path| wait_for("a socket of systemd", || UnixStream::connect(path).ok());
    let mut banner = vec![0; BANNER.len()];
    connect(&text).read_exact(&mut banner).expect("the first client starts the server");
    assert_eq!(banner, BANNER);
    let mut stream = connect(&echo);
    stream.write_all(b"hello\n").expect("the server reads");
    let mut answer = String::new();
    BufReader::new(stream).read_line(&mut answer).expect("an answer");
    assert_eq!(answer, "Server received: hello\n");
}

#[test]
#[ignore = "needs systemd-analyze"]
fn the_units_are_valid_and_hardened() {
    let folder = Folder::new("units");
    let units = concat!(env!("CARGO_MANIFEST_DIR"), "/packaging/systemd");
    let mut paths = Vec::new();
    for unit in ["tinytcp-server.service", "tinytcp-server.socket", "tinytcp-server@.service"] {
        let text = fs::read_to_string(format!("{units}/{unit}")).expect("the unit");
        let path = folder.0.join(unit.replace("@.", "@1."));
        let program = env!("CARGO_BIN_EXE_tinytcp-server");
        fs::write(&path, text.replace("/usr/bin/tinytcp-server", program)).expect("a copy");
        paths.push(path);
    }
    let analyze = |args: &[&str], paths: &[PathBuf]| {
        let output = Command::new("systemd-analyze").args(args).args(paths).output();
        let output = output.expect("systemd-analyze");
        let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        assert!(output.status.success(), "{args:?}: {text}");
        text
    };
    assert_eq!(analyze(&["verify", "--man=no"], &paths), "");
    for path in [&paths[0], &paths[2]] {
        // The highest exposure is 2.0 of 10.
        analyze(&["security", "--offline=true", "--threshold=20"], std::slice::from_ref(path));
    }
}

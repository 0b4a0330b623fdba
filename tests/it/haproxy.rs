//! A real haproxy with the configuration of `docs/operations.md` and two servers.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::process::{Child, Command, Stdio};

use crate::nats::await_broker;
use crate::support::BANNER;
use crate::support::broker::Nats;
use crate::support::documents::Document;
use crate::support::lines::Lines;
use crate::support::peer::Peer;
use crate::support::program::{finish, finish_child};
use crate::support::server::{Server, program, without_settings};
use crate::support::unix::Folder;
use crate::support::wait::wait_until;

/// Starts a server for proxies with an agent check. A drain lasts until the server is stopped.
fn server() -> Server {
    server_with(&[])
}

fn server_with(flags: &[&str]) -> Server {
    let mut command = program();
    command.args(flags);
    command.args(["--listen", "text://127.0.0.1:0?proxy=on", "--proxy-from", "127.0.0.1"]);
    command.args(["--agent-check", "agent://127.0.0.1:0", "--drain-delay", "off"]);
    command.args(["--activity-log", "100k"]);
    Server::launch_listening(command, 2)
}

/// Returns the configuration of the document, with the ports of this test.
fn configuration(header: &str, servers: &[Server; 2]) -> String {
    let document = Document::read("docs/operations.md").text;
    let (_, block) = document.split_once("```haproxy\n").expect("a block");
    let (block, _) = block.split_once("```").expect("its end");
    let mut text = block.to_owned();
    let mut replace = |old: &str, new: &str| {
        assert_eq!(text.matches(old).count(), 1, "{old} in {text}");
        text = text.replace(old, new);
    };
    replace("send-proxy-v2 ", &format!("{header} "));
    replace("bind 127.0.0.1:40000", "bind fd@0");
    for (server, (port, agent_port)) in servers.iter().zip([("40001", "9465"), ("40002", "9466")]) {
        replace(&format!("127.0.0.1:{port}"), &server.address("text").to_string());
        let agent = server.address("agent").port();
        replace(&format!("agent-port {agent_port}"), &format!("agent-port {agent}"));
    }
    text
}

/// A running haproxy, killed when dropped.
struct Haproxy {
    child: Child,
    log: Lines,
}

impl Haproxy {
    /// Starts it with a listener as its standard input.
    fn start(configuration: &str, folder: &Folder, listener: TcpListener) -> Self {
        let file = folder.0.join("haproxy.cfg");
        fs::write(&file, configuration).expect("a writable folder");
        let mut command = Command::new("haproxy");
        command.args(["-db", "-f"]).arg(file).stdin(Stdio::from(OwnedFd::from(listener)));
        let mut child =
            command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("haproxy");
        let log = Lines::collect(child.stderr.take().expect("stderr is piped"));
        Self { child, log }
    }
}

impl Drop for Haproxy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("the log of haproxy: {:#?}", self.log.text());
        }
    }
}

/// Returns the server whose log has this client, opened by a proxy.
fn server_of(client: &Peer, servers: &[Server; 2]) -> usize {
    let opened = format!("opened text {} by proxy 127.0.0.1:", client.address());
    let found = || servers.iter().position(|server| server.log.find(&[&opened]).is_some());
    wait_until(&opened, || found().is_some());
    found().expect("found before")
}

#[track_caller]
fn check(header: &str) {
    let servers = [server(), server()];
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let addr = listener.local_addr().expect("bound");
    let folder = Folder::new(header);
    let haproxy = Haproxy::start(&configuration(header, &servers), &folder, listener);

    let mut old = Peer::connect(addr);
    old.expect(BANNER);
    let old_server = server_of(&old, &servers);

    let mut load = without_settings(Command::new(env!("CARGO_BIN_EXE_tinytcp-load")));
    // Without a schedule, a generator that does not get the processor has no unsent requests.
    load.args([&format!("text://{addr}"), "-c", "10", "--think", "20ms"]);
    load.args(["--lifetime", "5", "-d", "5s"]);
    load.args(["--fail-if", "errors>0"]).stdout(Stdio::piped()).stderr(Stdio::piped());
    let load = load.spawn().expect("the load generator starts");

    servers[old_server].process().signal("USR2");
    let name = ["one", "two"][old_server];
    let drained = format!("tinytcp/{name} enters drain state");
    wait_until(&drained, || haproxy.log.find(&[&drained]).is_some());
    for _ in 0..10 {
        let mut new = Peer::connect(addr);
        new.expect(BANNER);
        assert_eq!(server_of(&new, &servers), 1 - old_server, "the other one is draining");
    }
    old.send("ECHO still served\n");
    old.expect("ECHO still served\n");

    let report = finish_child(load);
    assert_eq!(report.code, Some(0), "{report:?}");
    assert!(report.text().contains("Errors        none"), "{report:?}");
    servers[old_server].connect("agent").expect("drain\n");
    servers[1 - old_server].connect("agent").expect("ready up 100%\n");
    for server in &servers {
        assert!(server.log.find(&["PROXY header"]).is_none(), "{:#?}", server.log.text());
    }
}

#[test]
#[ignore = "needs haproxy"]
fn haproxy_with_headers_of_version_2_drains_without_an_error() {
    check("send-proxy-v2");
}

#[test]
#[ignore = "needs haproxy"]
fn haproxy_with_headers_of_version_1_drains_without_an_error() {
    check("send-proxy");
}

/// Opens a client with a name, in the room of [`nats`].
fn member(addr: SocketAddr, name: &str) -> Peer {
    let mut peer = Peer::connect(addr);
    peer.expect(BANNER);
    peer.send(format!("NICK {name}\nJOIN tea\n"));
    peer.expect(format!("NICK {name}\nJOINED tea\n"));
    peer
}

#[test]
#[ignore = "needs haproxy and nats-server"]
fn a_room_of_two_servers_after_haproxy_outlives_one_of_them() {
    let broker = Nats::start(&[]);
    let url = format!("nats://127.0.0.1:{}", broker.port);
    let mut servers = [server_with(&["--bus", &url]), server_with(&["--bus", &url])];
    servers.iter().for_each(|server| drop(server.wait_for_log(&["the bus is connected"])));
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let addr = listener.local_addr().expect("bound");
    let folder = Folder::new("haproxy-bus");
    let _haproxy = Haproxy::start(&configuration("send-proxy-v2", &servers), &folder, listener);

    let mut ann = member(addr, "ann");
    let mut bob = member(addr, "bob");
    let (first, second) = (server_of(&ann, &servers), server_of(&bob, &servers));
    assert_ne!(first, second, "haproxy sends a client to the server with fewer connections");
    await_broker(&broker, &mut [&mut ann, &mut bob]);
    ann.send("SAY hello\n");
    ann.expect("SAID 0\n");
    bob.expect("FROM ann hello\n");

    servers[first].process().signal("KILL");
    servers[first].wait_for_exit();
    assert!(ann.is_ended_by_server());
    let mut ann = member(addr, "ann");
    bob.send("SAY welcome back\n");
    bob.expect("SAID 1\n");
    ann.expect("FROM bob welcome back\n");
}

#[test]
#[ignore = "needs haproxy"]
fn the_configuration_of_the_document_is_valid() {
    let folder = Folder::new("haproxy-check");
    let document = Document::read("docs/operations.md").text;
    let block = document.split("```haproxy\n").nth(1).expect("a block");
    let file = folder.0.join("haproxy.cfg");
    fs::write(&file, block.split("```").next().expect("its end")).expect("a writable folder");
    let mut command = Command::new("haproxy");
    command.args(["-c", "-f"]).arg(file).stdout(Stdio::piped()).stderr(Stdio::piped());
    let ended = finish(command);
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{ended:?}");
}

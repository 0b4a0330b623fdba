//! A peer that dies without a packet, because its link is cut. The server frees its place in time.
//!
//! The link is a pair of virtual interfaces between two network namespaces. Each test makes its own
//! link, and removes it.

use crate::support::frames::{ECHO, frame, header};
use crate::support::peer::Peer;
use crate::support::server::{Server, program_under};
use crate::support::{MIB, PROTOCOLS};
use nix::sched::{CloneFlags, setns};
use std::fs::File;
use std::net::SocketAddr;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// Keepalive sends its first probe after 60 s of silence, and three in all, 10 s apart. This is
/// twice that time, for a busy machine.
const SILENCE_PATIENCE: Duration = Duration::from_secs(180);

const SERVER_ADDRESS: &str = "10.77.0.1";
const CLIENT_ADDRESS: &str = "10.77.0.2";

/// Two network namespaces and the link between them, removed on drop.
struct Link {
    server_side: String,
    client_side: String,
}

impl Link {
    fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let id = format!("{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let link = Self {
            server_side: format!("tinytcp-server-{id}"),
            client_side: format!("tinytcp-client-{id}"),
        };
        let Self { server_side, client_side } = &link;
        ip(&["netns", "add", server_side]);
        ip(&["netns", "add", client_side]);
        ip(&[
            "-n",
            server_side,
            "link",
            "add",
            "link0",
            "type",
            "veth",
            "peer",
            "name",
            "link0",
            "netns",
            client_side,
        ]);
        for (side, address) in [(server_side, SERVER_ADDRESS), (client_side, CLIENT_ADDRESS)] {
            ip(&["-n", side, "address", "add", &format!("{address}/30"), "dev", "link0"]);
            ip(&["-n", side, "link", "set", "link0", "up"]);
        }
        link
    }

    /// Starts a server at one end.
    fn serve(&self, flags: &[&str]) -> Server {
        let mut command = program_under(&["ip", "netns", "exec", &self.server_side]);
        command.args(
            PROTOCOLS
                .iter()
                .flat_map(|name| ["--listen".into(), format!("{name}://{SERVER_ADDRESS}:0")]),
        );
        command.args(flags);
        Server::launch(command)
    }

    /// Runs `connect` at the other end. A socket stays in the namespace in which it was made.
    fn at_the_other_end<T: Send>(&self, connect: impl FnOnce() -> T + Send) -> T {
        let namespace = File::open(format!("/run/netns/{}", self.client_side))
            .expect("a namespace with a name");
        thread::scope(|scope| {
            let there = scope.spawn(|| {
                setns(namespace, CloneFlags::CLONE_NEWNET).expect("only this thread goes there");
                connect()
            });
            there.join().expect("a connection")
        })
    }

    /// Cuts the link: nothing arrives from here on, in neither direction, and no end is notified.
    fn cut(&self) {
        ip(&["-n", &self.client_side, "link", "set", "link0", "down"]);
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        for side in [&self.server_side, &self.client_side] {
            // It fails only if the namespace was never made.
            let _ = Command::new("ip").args(["netns", "delete", side]).status();
        }
    }
}

#[track_caller]
fn ip(args: &[&str]) {
    let status = Command::new("ip").args(args).status().expect("run ip");
    assert!(status.success(), "ip {}", args.join(" "));
}

/// Waits, for as long as silence may last, until the server has freed all places except those of
/// the start.
#[track_caller]
fn wait_out_the_silence(server: &Server, descriptors: usize) {
    let cut_at = Instant::now();
    while server.descriptor_count() > descriptors {
        assert!(cut_at.elapsed() < SILENCE_PATIENCE, "silent peers keep their places");
        thread::sleep(Duration::from_millis(100));
    }
    println!("free after {:?}", cut_at.elapsed());
}

#[test]
#[ignore = "needs root and iproute2, and 90 seconds: .ci/run has them"]
fn keepalive_frees_the_places_of_idle_peers() {
    let link = Link::new();
    let server = link.serve(&["--idle-timeout", "off", "--message-timeout", "off"]);
    let descriptors = server.descriptor_count();
    let addresses: Vec<SocketAddr> = PROTOCOLS.map(|protocol| server.address(protocol)).to_vec();
    let mut peers =
        link.at_the_other_end(|| addresses.into_iter().map(Peer::connect).collect::<Vec<_>>());
    peers[0].expect(crate::support::BANNER);
    // One of them is in the middle of a message.
    peers[1].send(header(ECHO, 1000));
    server.wait_for_log(&["opened binary"]);
    link.cut();
    wait_out_the_silence(&server, descriptors);
    for protocol in PROTOCOLS {
        server.wait_for_log(&["closed", protocol, "connection reset"]);
    }
    drop(peers);
}

#[test]
#[ignore = "needs root and iproute2, and 90 seconds: .ci/run has them"]
fn a_peer_that_dies_before_its_answer_is_closed_soon() {
    let link = Link::new();
    // Messages are not logged by default where other machines can connect.
    let server =
        link.serve(&["--idle-timeout", "off", "--quiet-period", "1s", "--activity-log", "50"]);
    let descriptors = server.descriptor_count();
    let address = server.address("echo");
    let mut peer = link.at_the_other_end(|| Peer::connect(address));
    // The answer is due after the quiet period, and by then the link is cut.
    peer.send("are you there?");
    server.wait_for_log(&["opened echo"]);
    link.cut();
    server.wait_for_log(&["are you there?"]);
    wait_out_the_silence(&server, descriptors);
    server.wait_for_log(&["closed", "connection reset"]);
    drop(peer);
}

#[test]
#[ignore = "needs root and iproute2: .ci/run has them"]
fn every_deadline_frees_the_place_of_a_silent_peer() {
    let link = Link::new();
    let server =
        link.serve(&["--idle-timeout", "3s", "--message-timeout", "3s", "--write-timeout", "3s"]);
    let descriptors = server.descriptor_count();
    let (text, binary) = (server.address("text"), server.address("binary"));
    let (idle, mut half, mut unread) = link.at_the_other_end(|| {
        (Peer::connect(text), Peer::connect(binary), Peer::connect_with_small_window(binary))
    });
    half.send(header(ECHO, 1000));
    unread.send(frame(ECHO, vec![b'x'; MIB]));
    unread.expect([ECHO]);
    link.cut();
    server.wait_for_descriptors(descriptors);
    for reason in ["idle timeout", "message timeout", "write timeout"] {
        server.wait_for_log(&["closed", reason]);
    }
    drop((idle, half, unread));
}

//! Two servers with a real `nats-server` between them, and the messages that are lost when one of
//! them dies.

use std::time::{Duration, Instant};

use crate::support::BANNER;
use crate::support::broker::Nats;
use crate::support::certificates::{Authority, Files, Validity};
use crate::support::frames::frame;
use crate::support::peer::Peer;
use crate::support::server::{Server, program};
use crate::support::wait::wait_until;

/// The subject of the room of these tests.
const SUBJECT: &str = "tinytcp.room.tea";

/// Longer than a server needs to detect a silent broker.
const SILENCE_MAX: Duration = Duration::from_secs(60);

/// A server with all protocols and the broker `nats`.
fn server(nats: &Nats) -> Server {
    server_at(&format!("nats://127.0.0.1:{}", nats.port))
}

fn server_at(url: &str) -> Server {
    let server = Server::start(&["--bus", url]);
    server.wait_for_log(&["the bus is connected"]);
    server
}

/// Opens a member of the room with a name.
fn member(server: &Server, name: &str) -> Peer {
    let mut peer = server.text();
    peer.send(format!("NICK {name}\nJOIN tea\n"));
    peer.expect(format!("NICK {name}\nJOINED tea\n"));
    peer
}

/// Waits until the broker sends the messages of the room to the servers of all `members`, which
/// speak `text`, and reads the messages of the operator that this takes.
pub fn await_broker(nats: &Nats, members: &mut [&mut Peer]) {
    for member in &mut *members {
        wait_until("the broker knows the room", || {
            nats.publish(SUBJECT, "probe");
            member.has_bytes()
        });
    }
    nats.publish(SUBJECT, "go");
    members.iter_mut().for_each(|member| read_until(member, "FROM operator go\n"));
}

/// Reads up to the first `end`.
fn read_until(member: &mut Peer, end: &str) {
    let mut read = Vec::new();
    while !read.ends_with(end.as_bytes()) {
        read.extend(member.read_exact(1));
    }
}

/// Reads messages until each of `names` has sent `end`. Returns the texts of each.
fn listen(peer: &mut Peer, names: &[&str]) -> Vec<Vec<String>> {
    let mut heard = vec![Vec::new(); names.len()];
    let mut ended = 0;
    while ended < names.len() {
        let line = peer.read_line();
        let mut words = line.trim_end().splitn(3, ' ');
        let (Some("FROM"), Some(name), Some(text)) = (words.next(), words.next(), words.next())
        else {
            continue;
        };
        let Some(index) = names.iter().position(|known| *known == name) else { continue };
        match text {
            "end" => ended += 1,
            text => heard[index].push(text.to_owned()),
        }
    }
    heard
}

fn say(peer: &mut Peer, texts: impl IntoIterator<Item = String>) {
    let lines: String = texts.into_iter().map(|text| format!("SAY {text}\n")).collect();
    peer.send(lines);
}

fn numbers(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("message {number}")).collect()
}

fn with_end(texts: Vec<String>) -> Vec<String> {
    [texts, vec!["end".to_owned()]].concat()
}

#[test]
#[ignore = "needs nats-server"]
fn messages_cross_servers_in_the_order_of_their_sender_and_once() {
    let nats = Nats::start(&[]);
    let servers = [server(&nats), server(&nats)];
    let mut ann = member(&servers[0], "ann");
    let mut bob = member(&servers[1], "bob");
    let mut eve = member(&servers[0], "eve");
    let mut joe = member(&servers[1], "joe");
    await_broker(&nats, &mut [&mut ann, &mut bob, &mut eve, &mut joe]);
    for batch in 0..3 {
        say(&mut ann, numbers(30).into_iter().map(|text| format!("{batch} {text}")));
        say(&mut bob, numbers(30).into_iter().map(|text| format!("{batch} {text}")));
    }
    say(&mut ann, ["end".to_owned()]);
    say(&mut bob, ["end".to_owned()]);
    let all: Vec<String> = (0..3)
        .flat_map(|batch| numbers(30).into_iter().map(move |text| format!("{batch} {text}")))
        .collect();
    for listener in [&mut eve, &mut joe] {
        assert_eq!(listen(listener, &["ann", "bob"]), [all.clone(), all.clone()]);
    }
    assert_eq!(listen(&mut ann, &["bob"]).concat(), all);
    assert_eq!(listen(&mut bob, &["ann"]).concat(), all);
}

#[test]
#[ignore = "needs nats-server"]
fn messages_cross_servers_from_each_protocol_to_each() {
    let nats = Nats::start(&[]);
    let servers = [server(&nats), server(&nats)];
    let mut text = member(&servers[0], "ann");
    let mut listener = member(&servers[1], "eve");
    let mut binary = servers[1].connect("binary");
    binary.send([frame(20, "bob"), frame(16, "tea")].concat());
    binary.expect([frame(20, "bob"), frame(16, "tea")].concat());
    let mut chat = servers[1].connect("chat");
    chat.send("/nick joe\n/join tea\n");
    while !chat.read_line().starts_with("Joined tea") {}
    await_broker(&nats, &mut [&mut text, &mut listener]);
    read_until(&mut binary, "operator go");
    read_until(&mut chat, "operator: go\n");
    text.send("SAY from text\n");
    text.expect("SAID 0\n");
    binary.expect(frame(19, "ann from text"));
    chat.expect("ann: from text\n");
    assert_eq!(listener.read_line(), "FROM ann from text\n");
    binary.send(frame(18, "from binary"));
    text.expect("FROM bob from binary\n");
    chat.expect("bob: from binary\n");
    chat.send("/say from chat\n");
    text.expect("FROM joe from chat\n");
}

#[test]
#[ignore = "needs nats-server"]
fn a_killed_broker_loses_only_messages_between_servers() {
    let mut nats = Nats::start(&[]);
    let servers = [server(&nats), server(&nats)];
    let mut ann = member(&servers[0], "ann");
    let mut eve = member(&servers[0], "eve");
    let mut bob = member(&servers[1], "bob");
    await_broker(&nats, &mut [&mut ann, &mut eve, &mut bob]);
    say(&mut ann, with_end(numbers(3)));
    assert_eq!(listen(&mut bob, &["ann"]), [numbers(3)]);
    nats.kill();
    servers.iter().for_each(|server| drop(server.wait_for_log(&["the bus has lost"])));
    say(&mut ann, ["lost".to_owned()]);
    // The first four are 3 messages and their end.
    ann.expect("SAID 1\n".repeat(5));
    nats.restart();
    for server in &servers {
        wait_until("the bus is connected again", || {
            let connected = |line: &String| line.contains("the bus is connected");
            server.log.text().iter().filter(|line| connected(line)).count() == 2
        });
    }
    await_broker(&nats, &mut [&mut bob]);
    say(&mut ann, with_end(numbers(2)));
    assert_eq!(listen(&mut bob, &["ann"]), [numbers(2)], "`lost` is lost");
    assert_eq!(listen(&mut eve, &["ann"]), [numbers(3)], "members here miss nothing");
    assert_eq!(listen(&mut eve, &["ann"]), [[vec!["lost".to_owned()], numbers(2)].concat()]);
}

#[test]
#[ignore = "needs nats-server"]
fn a_killed_server_takes_only_its_own_members_along() {
    let nats = Nats::start(&[]);
    let [mut dying, other] = [server(&nats), server(&nats)];
    let mut ann = member(&dying, "ann");
    let mut bob = member(&other, "bob");
    let mut joe = member(&other, "joe");
    await_broker(&nats, &mut [&mut ann, &mut bob, &mut joe]);
    say(&mut ann, with_end(numbers(20)));
    assert_eq!(listen(&mut bob, &["ann"]), [numbers(20)]);
    assert_eq!(listen(&mut joe, &["ann"]), [numbers(20)]);
    dying.process().signal("KILL");
    dying.wait_for_exit();
    say(&mut bob, with_end(numbers(5)));
    assert_eq!(listen(&mut joe, &["bob"]), [numbers(5)]);
    let again = server(&nats);
    let mut eve = member(&again, "eve");
    await_broker(&nats, &mut [&mut eve]);
    say(&mut bob, with_end(numbers(5)));
    assert_eq!(listen(&mut eve, &["bob"]), [numbers(5)]);
}

#[test]
#[ignore = "needs nats-server"]
fn a_broker_that_falls_silent_is_noticed_and_joined_again() {
    let nats = Nats::start(&[]);
    let servers = [server(&nats), server(&nats)];
    let mut ann = member(&servers[0], "ann");
    let mut bob = member(&servers[1], "bob");
    await_broker(&nats, &mut [&mut ann, &mut bob]);
    nats.process().signal("STOP");
    let silent = Instant::now();
    while servers.iter().any(|it| it.log.find(&["no answer to a PING within 10s"]).is_none()) {
        assert!(silent.elapsed() < SILENCE_MAX, "the silence is not noticed");
        std::thread::sleep(Duration::from_millis(20));
    }
    nats.process().signal("CONT");
    wait_until("both are connected again", || {
        let count = |server: &Server| {
            server.log.text().iter().filter(|it| it.contains("the bus is connected")).count()
        };
        servers.iter().all(|server| count(server) >= 2)
    });
    await_broker(&nats, &mut [&mut bob]);
    say(&mut ann, with_end(numbers(2)));
    assert_eq!(listen(&mut bob, &["ann"]), [numbers(2)]);
}

#[test]
#[ignore = "needs nats-server"]
fn a_user_and_a_token_are_accepted_and_a_wrong_password_is_not() {
    let nats = Nats::start(&["--user", "ana", "--pass", "p@ss"]);
    let _right = server_at(&format!("nats://ana:p%40ss@127.0.0.1:{}", nats.port));
    let wrong = Server::start(&["--bus", &format!("nats://ana:word@localhost:{}", nats.port)]);
    wrong.wait_for_log(&["the broker refuses this server (Authorization Violation): check --bus"]);
    let nats = Nats::start(&["--auth", "s3cret"]);
    let _right = server_at(&format!("nats://s3cret@127.0.0.1:{}", nats.port));
}

#[test]
#[ignore = "needs nats-server"]
fn a_prefix_keeps_two_groups_of_servers_apart() {
    let nats = Nats::start(&[]);
    let mut command = program();
    command.args(["--listen", "text://127.0.0.1:0", "--bus-prefix", "other."]);
    command.args(["--bus", &format!("nats://127.0.0.1:{}", nats.port)]);
    let other = Server::launch_listening(command, 1);
    other.wait_for_log(&["the bus is connected"]);
    let mut apart = Peer::connect(other.address("text"));
    apart.expect(BANNER);
    apart.send("JOIN tea\n");
    apart.expect("JOINED tea\n");
    let server = server(&nats);
    let mut ann = member(&server, "ann");
    await_broker(&nats, &mut [&mut ann]);
    ann.send("SAY hello\n");
    ann.expect("SAID 0\n");
    wait_until("the other group receives the message of its operator", || {
        nats.publish("other.tea", "probe");
        apart.has_bytes()
    });
    apart.expect("FROM operator probe\n");
}

/// A broker with TLS, with the identity `PREFIXcert.pem`.
fn encrypted_broker(files: &Files, prefix: &str) -> Nats {
    let file = |name: &str| files.argument(&format!("{prefix}{name}"));
    let (certificate, key) = (file("cert.pem"), file("key.pem"));
    Nats::start(&["--tls", "--tlscert", &certificate, "--tlskey", &key])
}

#[test]
#[ignore = "needs nats-server"]
fn messages_cross_servers_over_tls_and_after_a_broker_restart() {
    let files = Files::new("bus");
    let mut nats = encrypted_broker(&files, "");
    let ca = files.argument("ca.pem");
    let hosts = ["127.0.0.1", "localhost"];
    let servers = hosts.map(|host| {
        let url = format!("tls://{host}:{}", nats.port);
        let server = Server::start(&["--bus", &url, "--bus-ca", &ca, "--say-rate", "off"]);
        server.wait_for_log(&[&format!("the bus is connected to {url}")]);
        server
    });
    let mut ann = member(&servers[0], "ann");
    let mut bob = member(&servers[1], "bob");
    let mut meet = || {
        // Messages are lost until the broker knows both rooms.
        wait_until("the broker knows the rooms", || {
            ann.send("SAY probe\n");
            ann.expect("SAID 0\n");
            bob.has_bytes()
        });
        say(&mut ann, with_end(numbers(2000)));
        let heard = listen(&mut bob, &["ann"]).concat();
        let heard: Vec<_> = heard.into_iter().filter(|text| text != "probe").collect();
        assert_eq!(heard, numbers(2000));
        (0..=2000).for_each(|_| ann.expect("SAID 0\n"));
    };
    meet();
    nats.restart();
    for (server, host) in servers.iter().zip(hosts) {
        server.wait_for_log(&[&format!("the bus has lost tls://{host}")]);
    }
    meet();
}

#[test]
#[ignore = "needs nats-server"]
fn each_failure_of_tls_to_the_broker_is_a_line_of_its_own() {
    let files = Files::new("bus-failures");
    let server = |names: &[&str], validity| files.authority.server(names, validity);
    files.write_identity("other-", &server(&["other.example"], Validity::Now));
    files.write_identity("expired-", &server(&["127.0.0.1"], Validity::Expired));
    files.write("stranger.pem", &Authority::new("another authority").certificate());
    for (prefix, ca, line) in [
        ("other-", "ca.pem", "the certificate of the broker is for another host"),
        ("expired-", "ca.pem", "the certificate of the broker has expired"),
        ("", "stranger.pem", "no certificate of --bus-ca has signed that of the broker"),
    ] {
        let nats = encrypted_broker(&files, prefix);
        let url = format!("tls://127.0.0.1:{}", nats.port);
        let server = Server::start(&["--bus", &url, "--bus-ca", &files.argument(ca)]);
        server.wait_for_log(&["the bus cannot connect to tls://", line]);
    }
    let nats = encrypted_broker(&files, "");
    let server = Server::start(&["--bus", &format!("nats://127.0.0.1:{}", nats.port)]);
    server.wait_for_log(&["the broker demands TLS: write --bus tls://HOST"]);
    let nats = Nats::start(&[]);
    let url = format!("tls://127.0.0.1:{}", nats.port);
    let server = Server::start(&["--bus", &url, "--bus-ca", &files.argument("ca.pem")]);
    server.wait_for_log(&["the broker offers no TLS"]);
}

//! Two servers and a broker that delays messages, returns messages to their sender, drops
//! connections and stops, in an order that proptest chooses.
//!
//! The invariants: no member gets a message twice, or its own message, or two messages of one
//! sender in another order. Members of one server miss nothing of each other. Once the broker is up
//! again, new messages arrive.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::bus::envelope::Origin;
use crate::bus::settings::BusSettings;

const SERVERS: usize = 2;
const MEMBERS: usize = 2;

/// One step of the world. The numbers choose a server, a member of it, and an amount.
#[derive(Clone, Copy, Debug)]
enum Step {
    Say(usize, usize),
    /// A member leaves its room or joins it again.
    Move(usize),
    /// A number of bytes arrives at a server.
    Deliver(usize, usize),
    /// The broker drops the connection of a server.
    Drop(usize),
    /// The broker dies, or is started again.
    Toggle,
    /// A number of milliseconds passes.
    Pass(u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        5 => (0..SERVERS, 0..MEMBERS).prop_map(|(server, member)| Step::Say(server, member)),
        1 => (0..SERVERS).prop_map(Step::Move),
        5 => (0..SERVERS, 1..300usize).prop_map(|(server, len)| Step::Deliver(server, len)),
        1 => (0..SERVERS).prop_map(Step::Drop),
        1 => Just(Step::Toggle),
        2 => (1..3000u64).prop_map(Step::Pass),
    ];
    proptest::collection::vec(step, 1..60)
}

/// A server of the world.
struct Node {
    harness: LoopHarness,
    members: Vec<Member>,
    /// Its connection to the broker, which the server has made or will make next.
    link: Option<Link>,
}

/// A member whose name has the numbers of its server and of itself.
struct Member {
    peer: FakePeer,
    heard: String,
    said: usize,
}

/// A connection of the broker.
struct Link {
    peer: FakePeer,
    /// What the server has sent and the broker has not read.
    received: String,
    /// What the broker has sent and the server has not received.
    sent: Vec<u8>,
    subjects: BTreeMap<String, String>,
}

struct World {
    nodes: Vec<Node>,
    is_broker_up: bool,
    /// The third member of each server, and whether it is in the room.
    movers: Vec<(FakePeer, bool)>,
}

impl World {
    fn new() -> Self {
        let nodes: Vec<Node> = (0..SERVERS).map(node).collect();
        let mut world = Self { nodes, is_broker_up: true, movers: Vec::new() };
        for node in &mut world.nodes {
            world.movers.push((node.harness.peer(), false));
        }
        world.settle();
        world
    }

    fn run(&mut self, step: Step) {
        match step {
            Step::Say(server, member) => self.say(server, member),
            Step::Move(server) => {
                let (peer, is_in) = &mut self.movers[server];
                peer.send(if *is_in { b"LEAVE\n" } else { b"JOIN tea\n" });
                *is_in = !*is_in;
            }
            Step::Deliver(server, len) => self.deliver(server, len),
            Step::Drop(server) => self.drop_link(server),
            Step::Toggle => {
                self.is_broker_up = !self.is_broker_up;
                (0..SERVERS).for_each(|server| self.drop_link(server));
            }
            Step::Pass(milliseconds) => {
                let time = Duration::from_millis(milliseconds);
                self.nodes.iter_mut().for_each(|node| node.harness.run_for(time));
            }
        }
        self.exchange();
    }

    fn say(&mut self, server: usize, member: usize) {
        let member = &mut self.nodes[server].members[member];
        member.said += 1;
        member.peer.send(format!("SAY {}\n", member.said).as_bytes());
    }

    fn deliver(&mut self, server: usize, len: usize) {
        if let Some(link) = &mut self.nodes[server].link {
            let len = len.min(link.sent.len());
            link.peer.send(&link.sent.drain(..len).collect::<Vec<_>>());
        }
    }

    fn drop_link(&mut self, server: usize) {
        self.nodes[server].harness.refuse_connects();
        if let Some(link) = self.nodes[server].link.take() {
            link.peer.reset();
        }
    }

    /// Runs the servers, and lets the broker read everything and answer it.
    fn exchange(&mut self) {
        for node in &mut self.nodes {
            node.link = node.link.take().filter(|link| !link.peer.is_closed());
            if self.is_broker_up && node.link.is_none() {
                let (peer, sent) = (node.harness.await_connect(), b"INFO {}\r\n".to_vec());
                node.link =
                    Some(Link { peer, received: String::new(), sent, subjects: BTreeMap::new() });
            }
            node.harness.run_until_idle();
            node.members.iter_mut().for_each(|it| it.heard += &it.peer.take_sent());
        }
        for server in 0..SERVERS {
            while let Some((subject, payload)) = self.next_publication(server) {
                self.publish(&subject, &payload);
            }
        }
    }

    /// Runs the operations of a server up to the next message.
    fn next_publication(&mut self, server: usize) -> Option<(String, String)> {
        let link = self.nodes[server].link.as_mut()?;
        link.received += &link.peer.take_sent();
        while let Some((line, rest)) = link.received.split_once("\r\n") {
            let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
            let rest = rest.to_owned();
            match [&*words[0], words.get(1).map_or("", |it| it), words.get(2).map_or("", |it| it)] {
                ["CONNECT" | "PONG", ..] => {}
                ["PING", ..] => link.sent.extend_from_slice(b"PONG\r\n"),
                ["SUB", subject, id] => {
                    let before = link.subjects.insert(subject.to_owned(), id.to_owned());
                    assert_eq!(before, None, "subscribed twice");
                }
                ["UNSUB", id, _] => link.subjects.retain(|_, known| known != id),
                ["PUB", subject, len] => {
                    let len: usize = len.parse().expect("a length");
                    let (subject, payload) = (subject.to_owned(), rest[..len].to_owned());
                    link.received = rest[len + 2..].to_owned();
                    return Some((subject, payload));
                }
                _ => panic!("a strange operation: {line}"),
            }
            link.received = rest;
        }
        None
    }

    /// Sends a message to all subscribers. Its own server gets it too, as can happen after a
    /// reconnect.
    fn publish(&mut self, subject: &str, payload: &str) {
        for link in self.nodes.iter_mut().filter_map(|node| node.link.as_mut()) {
            if let Some(id) = link.subjects.get(subject) {
                let message = format!("MSG {subject} {id} {}\r\n{payload}\r\n", payload.len());
                link.sent.extend(message.into_bytes());
            }
        }
    }

    /// Starts the broker if it is down, and delivers everything that waits.
    fn settle(&mut self) {
        self.is_broker_up = true;
        for _ in 0..20 {
            self.run(Step::Pass(1000));
            (0..SERVERS).for_each(|server| self.deliver(server, usize::MAX));
            self.exchange();
        }
    }

    fn check(&self) {
        for (server, node) in self.nodes.iter().enumerate() {
            for (index, member) in node.members.iter().enumerate() {
                let heard = heard(&member.heard);
                assert!(!heard.contains_key(&name(server, index)), "an own message");
                for (sender, node) in self.nodes.iter().enumerate() {
                    for (other, speaker) in node.members.iter().enumerate() {
                        let numbers = heard.get(&name(sender, other)).cloned().unwrap_or_default();
                        assert!(numbers.is_sorted_by(|one, next| one < next), "{numbers:?}");
                        if sender == server && other != index {
                            assert_eq!(numbers.len(), speaker.said, "a neighbour is missed");
                        }
                        if (sender, other) != (server, index) {
                            assert_eq!(numbers.last(), Some(&speaker.said), "the last is missed");
                        }
                    }
                }
            }
        }
    }
}

fn name(server: usize, member: usize) -> String {
    format!("m{server}-{member}")
}

fn node(server: usize) -> Node {
    let bus = BusSettings::parse("nats://127.0.0.1").expect("a URL");
    let bus = Some(bus.with_origin(Origin(server as u64)));
    let mut harness = LoopHarness::new(Text::new(), Config { bus, ..Config::default() });
    let members = (0..MEMBERS).map(|member| {
        let peer = harness.peer();
        peer.send(format!("NICK {}\nJOIN tea\n", name(server, member)).as_bytes());
        Member { peer, heard: String::new(), said: 0 }
    });
    let members = members.collect();
    Node { harness, members, link: None }
}

/// The numbers that a member has heard from each sender, in order.
fn heard(lines: &str) -> BTreeMap<String, Vec<usize>> {
    let mut heard = BTreeMap::<String, Vec<usize>>::new();
    for line in lines.lines() {
        if let Some((name, number)) = line.strip_prefix("FROM ").and_then(|it| it.split_once(' ')) {
            heard.entry(name.to_owned()).or_default().push(number.parse().expect("a number"));
        }
    }
    heard
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn with_any_broker_no_message_comes_twice_and_the_last_arrive(steps in steps()) {
        let mut world = World::new();
        steps.into_iter().for_each(|step| world.run(step));
        world.settle();
        for (server, member) in (0..SERVERS).flat_map(|it| (0..MEMBERS).map(move |its| (it, its))) {
            world.run(Step::Say(server, member));
        }
        world.settle();
        world.check();
    }
}

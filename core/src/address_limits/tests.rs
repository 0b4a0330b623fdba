//! Tests of the table of addresses, in simulated time.

use std::collections::HashMap;

use proptest::prelude::*;

use super::*;

fn at(milliseconds: u64) -> Moment {
    Moment::START.after(Duration::from_millis(milliseconds))
}

fn peer(host: u8) -> Peer {
    Peer::new(([192, 0, 2, host], 1000).into(), 0)
}

fn peer_of(addr: &str) -> Peer {
    Peer::new(PeerAddr::Ip(addr.parse().expect("an address")), 0)
}

fn table(connections: Option<u32>, accepts: Option<u32>, messages: Option<u32>) -> AddressLimits {
    AddressLimits::new(
        &Limits::default()
            .with_address_connections_max(connections)
            .with_address_accept_rate_max(accepts)
            .with_address_message_rate_max(messages),
    )
}

#[test]
fn without_limits_the_table_takes_no_memory_and_admits_all() {
    let mut table = table(None, None, None);
    for _ in 0..1000 {
        assert_eq!(admit(&mut table, &peer(1), at(0)), Ok(false));
    }
    assert!(table.may_send(&peer(1), at(0)));
    assert_eq!(table.entries.capacity(), 0);
}

#[test]
fn an_address_at_its_limit_has_a_new_connection_after_a_close() {
    let mut table = table(Some(2), None, None);
    let admitted = [(); 3].map(|()| admit(&mut table, &peer(1), at(0)));
    assert_eq!(admitted, [Ok(true), Ok(true), Err(CloseReason::AddressConnections)]);
    assert_eq!(admit(&mut table, &peer(2), at(0)), Ok(true), "another address has its own number");
    table.leave(&peer(1), at(0));
    assert_eq!(admit(&mut table, &peer(1), at(0)), Ok(true));
}

#[test]
fn an_address_opens_one_second_of_connections_and_then_its_rate() {
    let mut table = table(None, Some(2), None);
    let refused = Err(CloseReason::AddressAcceptRate);
    let admitted = [0, 0, 0, 499, 500, 501, 1000].map(|ms| admit(&mut table, &peer(1), at(ms)));
    assert_eq!(admitted, [Ok(true), Ok(true), refused, refused, Ok(true), refused, Ok(true)]);
}

#[test]
fn connections_over_the_number_count_for_the_rate() {
    let mut table = table(Some(1), Some(2), None);
    let admitted = [(); 3].map(|()| admit(&mut table, &peer(1), at(0)));
    let expected =
        [Ok(true), Err(CloseReason::AddressConnections), Err(CloseReason::AddressAcceptRate)];
    assert_eq!(admitted, expected);
}

#[test]
fn the_connections_of_an_address_share_its_messages() {
    let mut table = table(None, None, Some(10));
    assert_eq!(admit(&mut table, &peer(1), at(0)), Ok(true));
    assert_eq!(admit(&mut table, &peer(1), at(0)), Ok(true));
    table.count_messages(&peer(1), 9, at(0));
    assert!(table.may_send(&peer(1), at(0)));
    table.count_messages(&peer(1), 6, at(0));
    assert!(!table.may_send(&peer(1), at(0)));
    assert_eq!(table.may_send_at(&peer(1), at(0)), at(700), "one token for each connection");
    assert!(!table.may_send(&peer(1), at(599)));
    assert!(table.may_send(&peer(1), at(600)));
    assert!(table.may_send(&peer(2), at(0)));
}

#[test]
fn an_ipv6_network_of_64_bits_is_one_address() {
    let mut table = table(Some(1), None, None);
    assert_eq!(admit(&mut table, &peer_of("[2001:db8::1]:1"), at(0)), Ok(true));
    assert!(admit(&mut table, &peer_of("[2001:db8::ffff]:2"), at(0)).is_err());
    assert_eq!(admit(&mut table, &peer_of("[2001:db8:0:1::1]:3"), at(0)), Ok(true));
}

#[test]
fn a_mapped_ipv4_address_is_that_address() {
    let mut table = table(Some(1), None, None);
    assert_eq!(admit(&mut table, &peer_of("192.0.2.1:1"), at(0)), Ok(true));
    assert!(admit(&mut table, &peer_of("[::ffff:192.0.2.1]:2"), at(0)).is_err());
    assert_eq!(admit(&mut table, &peer_of("[::ffff:192.0.2.2]:3"), at(0)), Ok(true));
}

#[test]
fn peers_of_unix_sockets_are_not_limited() {
    let mut table = table(Some(1), Some(1), Some(1));
    for number in 0..10 {
        assert_eq!(admit(&mut table, &Peer::new(PeerAddr::Unix(number), 0), at(0)), Ok(false));
    }
    assert!(table.entries.is_empty());
}

#[test]
fn a_full_table_skips_new_addresses_and_reuses_idle_entries() {
    let mut table = table(Some(1), Some(1), None);
    table.entries_max = 2;
    assert_eq!(
        [1, 2, 3].map(|host| admit(&mut table, &peer(host), at(0))),
        [Ok(true), Ok(true), Ok(false)]
    );
    assert_eq!(admit(&mut table, &peer(3), at(0)), Ok(false));
    assert_eq!(table.overflows(), 2);
    table.leave(&peer(1), at(10));
    assert_eq!(
        admit(&mut table, &peer(3), at(999)),
        Ok(false),
        "the rate of the first one still counts"
    );
    assert_eq!(admit(&mut table, &peer(3), at(1000)), Ok(true), "its entry is as good as none");
    assert_eq!(admit(&mut table, &peer(2), at(5000)), Err(CloseReason::AddressConnections));
}

#[test]
fn a_full_table_is_searched_once_per_second() {
    let mut table = table(None, Some(1), None);
    table.entries_max = 1;
    assert_eq!(admit(&mut table, &peer(1), at(0)), Ok(true));
    assert_eq!(admit(&mut table, &peer(2), at(900)), Ok(false));
    table.leave(&peer(1), at(950));
    assert_eq!(admit(&mut table, &peer(2), at(1800)), Ok(false), "idle, and not searched for");
    assert_eq!(admit(&mut table, &peer(2), at(1900)), Ok(true));
}

/// Admits a connection as the loop does.
fn admit(table: &mut AddressLimits, peer: &Peer, now: Moment) -> Result<bool, CloseReason> {
    if table.accept(peer, now) {
        table.enter(peer, now)
    } else {
        Err(CloseReason::AddressAcceptRate)
    }
}

/// The open connections of each address, and the address of each connection that is counted.
#[derive(Default)]
struct Model {
    open: HashMap<u8, u32>,
    counted: Vec<u8>,
}

proptest! {
    #[test]
    fn no_address_exceeds_its_number_and_the_table_stays_small(
        steps in proptest::collection::vec((0u8..3, 0u8..6, 0u64..600), 1..300),
    ) {
        let mut table = table(Some(2), Some(5), Some(3));
        table.entries_max = 3;
        let (mut model, mut now) = (Model::default(), 0);
        for (action, host, pause) in steps {
            now += pause;
            let held = model.open.get(&host).copied().unwrap_or(0);
            match action {
                0 => match admit(&mut table, &peer(host), at(now)) {
                    Ok(true) => {
                        prop_assert!(held < 2);
                        *model.open.entry(host).or_default() += 1;
                        model.counted.push(host);
                    }
                    Ok(false) => prop_assert_eq!(held, 0, "an address with an entry is counted"),
                    Err(CloseReason::AddressConnections) => prop_assert_eq!(held, 2),
                    Err(reason) => prop_assert_eq!(reason, CloseReason::AddressAcceptRate),
                },
                1 if held > 0 => {
                    table.count_messages(&peer(host), 2, at(now));
                    if !table.may_send(&peer(host), at(now)) {
                        let due = table.may_send_at(&peer(host), at(now));
                        prop_assert!(due > at(now), "a delayed connection asks later");
                        prop_assert!(table.may_send(&peer(host), due), "and not in vain");
                    }
                }
                _ => if let Some(host) = model.counted.pop() {
                    table.leave(&peer(host), at(now));
                    *model.open.entry(host).or_default() -= 1;
                },
            }
            prop_assert!(table.entries.len() <= 3);
        }
        let later = at(now + 1_000_000);
        for host in model.counted {
            table.leave(&peer(host), later);
        }
        for host in 0..3 {
            let admission = admit(&mut table, &peer(host), later);
            prop_assert_eq!(admission, Ok(true), "all entries are idle");
        }
    }
}

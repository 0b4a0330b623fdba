//! Source addresses: each one has about 28,000 ports of its own.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::error::UsageError;

/// Maximum number of addresses; more are a mistake.
const SOURCES_MAX: u128 = 1 << 16;

const EXAMPLE: &str =
    "sources look like 127.0.0.2, 127.0.0.2-127.0.0.40 or 127.0.1.0/28, several with commas";

/// Parses source addresses: single ones, ranges and CIDR blocks, separated by commas.
///
/// A block includes its first and last address, which are usable on loopback.
///
/// # Errors
/// Fails with an example, for text that is not an address, a range that runs backwards, and more
/// than 65,536 addresses.
pub fn sources(text: &str) -> Result<Vec<IpAddr>, UsageError> {
    let mut sources = Vec::new();
    for part in text.split(',').map(str::trim) {
        let (first, last) = bounds(part)?;
        let count = last
            .checked_sub(first)
            .ok_or_else(|| format!("the range '{part}' runs backwards; {EXAMPLE}"))?;
        if count >= SOURCES_MAX - sources.len() as u128 {
            return Err(format!("more than {SOURCES_MAX} source addresses; {EXAMPLE}").into());
        }
        let is_ipv4 = part.parse::<IpAddr>().map_or(!part.contains(':'), |addr| addr.is_ipv4());
        sources.extend((first..=last).map(|number| from_number(number, is_ipv4)));
    }
    Ok(sources)
}

/// Returns the first and the last address as numbers.
fn bounds(part: &str) -> Result<(u128, u128), UsageError> {
    if let Some((first, last)) = part.split_once('-') {
        let (first, last) = (address(first)?, address(last)?);
        if first.is_ipv4() != last.is_ipv4() {
            return Err(format!("the range '{part}' mixes IPv4 and IPv6; {EXAMPLE}").into());
        }
        return Ok((to_number(first), to_number(last)));
    }
    let Some((base, prefix)) = part.split_once('/') else {
        let only = to_number(address(part)?);
        return Ok((only, only));
    };
    let base = address(base)?;
    let width: u32 = if base.is_ipv4() { 32 } else { 128 };
    let prefix: u32 = prefix.parse().ok().filter(|prefix| *prefix <= width).ok_or(EXAMPLE)?;
    let hosts = 1u128.checked_shl(width - prefix).map_or(u128::MAX, |size| size - 1);
    let first = to_number(base) & !hosts;
    Ok((first, first | hosts))
}

fn address(text: &str) -> Result<IpAddr, UsageError> {
    text.trim().parse().map_err(|_| format!("'{text}' is not an address; {EXAMPLE}").into())
}

fn to_number(addr: IpAddr) -> u128 {
    match addr {
        IpAddr::V4(addr) => u32::from(addr).into(),
        IpAddr::V6(addr) => addr.into(),
    }
}

fn from_number(number: u128, is_ipv4: bool) -> IpAddr {
    match u32::try_from(number) {
        Ok(number) if is_ipv4 => Ipv4Addr::from(number).into(),
        _ => Ipv6Addr::from(number).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(text: &str) -> Vec<String> {
        sources(text).expect(text).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn single_addresses_ranges_and_blocks_are_parsed() {
        assert_eq!(named("127.0.0.2"), ["127.0.0.2"]);
        assert_eq!(
            named("127.0.0.254-127.0.1.1, ::1"),
            ["127.0.0.254", "127.0.0.255", "127.0.1.0", "127.0.1.1", "::1"]
        );
        assert_eq!(named("127.0.1.5/30"), ["127.0.1.4", "127.0.1.5", "127.0.1.6", "127.0.1.7"]);
        assert_eq!(named("fd00::4/127"), ["fd00::4", "fd00::5"]);
        assert_eq!(sources("10.0.0.0/16").expect("65,536 of them").len(), 65_536);
    }

    #[test]
    fn an_invalid_source_is_refused_with_an_example() {
        for wrong in [
            "",
            "host",
            "127.0.0.9-127.0.0.2",
            "127.0.0.1-::1",
            "127.0.0.1/33",
            "10.0.0.0/15",
            "::/0",
            "1-2",
        ] {
            let error = sources(wrong).expect_err(wrong).to_string();
            assert!(error.contains("127.0.0.2-127.0.0.40"), "{wrong}: {error}");
        }
    }
}

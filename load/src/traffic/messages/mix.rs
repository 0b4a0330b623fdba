//! Mixes of messages by weight.

use super::message::ScriptMessage;
use crate::error::UsageError;

/// Returns the messages of a mix, each as often as its weight and spread evenly: `TIME:1,ECHO
/// hello:3` is `ECHO TIME ECHO ECHO`.
///
/// A comma inside a message is written `\,`.
///
/// # Errors
/// Fails with a sentence about a part without a weight.
pub fn mix(
    text: &str,
    parse: impl Fn(&str) -> Result<ScriptMessage, UsageError>,
) -> Result<Vec<ScriptMessage>, UsageError> {
    const HINT: &str = "a mix looks like 'TIME:1,ECHO hello:3': messages with their weights";
    const WEIGHTS_MAX: u64 = 10_000;
    let mut parts = Vec::new();
    for part in split_unescaped(text) {
        let (message, weight) = part.rsplit_once(':').ok_or(HINT)?;
        let weight: u64 = weight.trim().parse().ok().filter(|weight| *weight > 0).ok_or(HINT)?;
        parts.push((parse(message.trim_start())?, weight));
    }
    let divisor = parts
        .iter()
        .fold(0, |divisor, (_, weight)| greatest_common_divisor(divisor, *weight))
        .max(1);
    let total = parts.iter().map(|(_, weight)| weight / divisor).fold(0, u64::saturating_add);
    if total > WEIGHTS_MAX {
        return Err(format!(
            "the weights of a mix add up to more than {WEIGHTS_MAX}: use smaller weights"
        )
        .into());
    }
    Ok(spread(&parts, divisor, total))
}

/// Repeatedly picks the part that is furthest below its share.
fn spread(parts: &[(ScriptMessage, u64)], divisor: u64, total: u64) -> Vec<ScriptMessage> {
    let mut used = vec![0u64; parts.len()];
    let mut messages = Vec::new();
    for turn in 1..=total {
        let deficit = |index: &usize| {
            let (index, share) = (*index, parts[*index].1 / divisor);
            (share * turn) as i64 - (used[index] * total) as i64
        };
        let Some(next) = (0..parts.len()).max_by_key(deficit) else { break };
        used[next] += 1;
        messages.push(parts[next].0.clone());
    }
    messages
}

fn split_unescaped(text: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        match (character, parts.last_mut()) {
            ('\\', Some(part)) if characters.next_if_eq(&',').is_some() => part.push(','),
            ('\\', Some(part)) => part.extend(['\\'].into_iter().chain(characters.next())),
            (',', _) => parts.push(String::new()),
            (other, Some(part)) => part.push(other),
            (_, None) => {}
        }
    }
    parts
}

const fn greatest_common_divisor(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { greatest_common_divisor(b, a % b) }
}

#[cfg(test)]
mod tests {
    use tinytcp_cli::target::ProtocolName;

    use super::*;
    use crate::traffic::messages::protocols::message;

    #[test]
    fn a_mix_spreads_its_messages_by_weight() {
        let messages =
            mix("TIME:2,ECHO a\\,b:6", |text| message(ProtocolName::Text, text)).expect("a mix");
        let sent: Vec<u8> = messages.into_iter().flat_map(|message| message.request).collect();
        assert_eq!(sent.iter().filter(|byte| **byte == b'\n').count(), 4);
        assert_eq!(String::from_utf8_lossy(&sent).matches("ECHO a,b\n").count(), 3);
        for wrong in ["TIME", "TIME:0", "TIME:x", "", "TIME:1,", "TIME:1,HELP:100000"] {
            mix(wrong, |text| message(ProtocolName::Text, text)).expect_err(wrong);
        }
    }
}

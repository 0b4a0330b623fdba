//! The command table of `text`: finds the command whose word begins a line.

use super::command::Command;
use crate::wire::line::{is_blank, skip_blanks};
use crate::wire::telnet;

/// The longest word of a command in bytes.
pub const WORD_BYTES_MAX: usize = 32;

/// The table of commands.
#[derive(Debug)]
pub struct CommandTable {
    entries: Vec<Entry>,
    /// The usages of all commands that have one, separated by ` | `.
    pub usages: String,
}

impl CommandTable {
    /// Creates the table of `commands`. If a word occurs twice, the first command counts.
    ///
    /// # Panics
    /// If a key is longer than [`WORD_BYTES_MAX`].
    #[must_use]
    pub fn new(commands: Vec<Command<&'static str>>) -> Self {
        assert!(
            commands.iter().all(|command| command.key.len() <= WORD_BYTES_MAX),
            "the word of a command is too long"
        );
        let entries: Vec<_> = commands.into_iter().map(Entry::new).collect();
        Self { usages: usages(&entries), entries }
    }

    /// Removes the first command of that name. Does nothing if there is none.
    pub fn remove(&mut self, name: &str) {
        let found =
            self.entries.iter().position(|entry| entry.command.key.eq_ignore_ascii_case(name));
        if let Some(found) = found {
            self.entries.remove(found);
            self.usages = usages(&self.entries);
        }
    }

    /// Returns the command whose word is the first word of the trimmed `line`, and its argument:
    /// the rest after the blanks that follow the word.
    #[inline]
    #[must_use]
    pub fn find<'a>(&self, line: &'a [u8]) -> Option<(&Command<&'static str>, &'a [u8])> {
        self.find_plain(line).or_else(|| self.find_negotiated(line))
    }

    #[inline]
    fn find_plain<'a>(&self, line: &'a [u8]) -> Option<(&Command<&'static str>, &'a [u8])> {
        let line_front = front(line);
        self.entries.iter().find_map(|entry| {
            let after = entry.after_word(line, line_front)?;
            Some((&entry.command, skip_blanks(after)))
        })
    }

    /// Returns the command and the argument of a line with negotiation before or inside its word.
    #[cold]
    fn find_negotiated<'a>(&self, line: &'a [u8]) -> Option<(&Command<&'static str>, &'a [u8])> {
        if !line.contains(&telnet::IAC) {
            return None;
        }
        let mut place = [0; WORD_BYTES_MAX + 1];
        let (word, argument) = telnet::split_word(line, &mut place);
        let (command, _) = self.find_plain(word)?;
        Some((command, argument))
    }
}

fn usages(entries: &[Entry]) -> String {
    let usages = entries.iter().map(|entry| entry.command.usage);
    usages.filter(|usage| !usage.is_empty()).collect::<Vec<_>>().join(" | ")
}

#[derive(Debug)]
struct Entry {
    /// The first bytes of the word as a number. A line may begin with the word if its own first
    /// bytes, under the mask, are this number.
    ///
    /// One comparison of numbers makes a pipelined request cheap: `eq_ignore_ascii_case`, byte by
    /// byte, costs a third more instructions for the whole request (`cargo bench --bench
    /// instructions`).
    front: u64,
    /// Clears the bit in which the cases of a letter differ, and the bytes after the word.
    mask: u64,
    command: Command<&'static str>,
}

impl Entry {
    fn new(command: Command<&'static str>) -> Self {
        let key = command.key.to_ascii_uppercase();
        let mask: Vec<u8> =
            key.bytes().map(|byte| if byte.is_ascii_uppercase() { 0xDF } else { 0xFF }).collect();
        Self { front: front(key.as_bytes()), mask: front(&mask), command }
    }

    /// Returns the rest of `line` after the command's word, if that is its first word in any case.
    #[inline]
    fn after_word<'a>(&self, line: &'a [u8], line_front: u64) -> Option<&'a [u8]> {
        if line_front & self.mask != self.front {
            return None;
        }
        let key = self.command.key.as_bytes();
        let (word, after) = line.split_at_checked(key.len())?;
        let is_whole_word = after.first().is_none_or(|byte| is_blank(*byte));
        (is_whole_word && (key.len() <= FRONT_LEN || word.eq_ignore_ascii_case(key)))
            .then_some(after)
    }
}

/// How many bytes [`front`] returns.
const FRONT_LEN: usize = size_of::<u64>();

/// Returns the first bytes of a line as a number, padded with zeros.
#[inline]
fn front(line: &[u8]) -> u64 {
    match line.first_chunk::<FRONT_LEN>() {
        Some(chunk) => u64::from_le_bytes(*chunk),
        None => line.iter().rev().fold(0, |front, byte| front << 8 | u64::from(*byte)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::Next;

    fn table_of(keys: &[&'static str]) -> CommandTable {
        CommandTable::new(
            keys.iter()
                .map(|key| Command::new(*key, key, |_: &mut _| Ok(Next::Continue)))
                .collect(),
        )
    }

    fn found<'a>(table: &CommandTable, line: &'a [u8]) -> Option<(&'static str, &'a [u8])> {
        table.find(line).map(|(command, argument)| (command.key, argument))
    }

    #[test]
    fn a_command_is_found_by_its_whole_word_of_any_bytes() {
        let keys = ["A", "X-1", "[^]", "EIGHT__8", "NINE____9", "NINE____X", "TIMETABLE"];
        let table = table_of(&keys);
        for key in keys {
            let lower = key.to_ascii_lowercase();
            assert_eq!(found(&table, key.as_bytes()), Some((key, &b""[..])));
            assert_eq!(found(&table, lower.as_bytes()), Some((key, &b""[..])), "{lower}");
            assert_eq!(
                found(&table, format!("{lower} \tx  y").as_bytes()),
                Some((key, &b"x  y"[..])),
                "{lower}"
            );
            assert_eq!(
                found(&table, &[b"\xff\xf1", key.as_bytes()].concat()),
                Some((key, &b""[..])),
                "{key}"
            );
        }
        let unknown_lines: [&[u8]; 10] = [
            b"AA",
            b"X\r1",
            b"x\x0b-1",
            b"{^}",
            b"{~}",
            b"EIGHT__",
            b"EIGHT__88",
            b"EIGHT__\x18",
            b"NINE____",
            b"NINE____Z",
        ];
        for line in unknown_lines {
            assert_eq!(found(&table, line), None, "{}", line.escape_ascii());
        }
    }

    #[test]
    fn a_word_of_the_greatest_length_is_found_after_negotiation() {
        let longest: &'static str = "ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEF";
        assert_eq!(longest.len(), WORD_BYTES_MAX);
        let line = [b"\xff\xf1", longest.as_bytes(), b" x"].concat();
        assert_eq!(found(&table_of(&[longest]), &line), Some((longest, &b"x"[..])));
        let line = [b"\xff\xf1", longest.as_bytes(), b"G x"].concat();
        assert_eq!(found(&table_of(&[longest]), &line), None);
    }

    #[test]
    fn a_zero_byte_is_not_the_end_of_a_line() {
        assert_eq!(found(&table_of(&["A", "A\0"]), b"A\0"), Some(("A\0", &b""[..])));
        assert_eq!(found(&table_of(&["A\0"]), b"A"), None);
    }

    #[test]
    fn the_first_of_two_commands_with_one_word_is_found() {
        let table = table_of(&["ECHO", "echo", "ECHOES"]);
        assert_eq!(found(&table, b"echo x"), Some(("ECHO", &b"x"[..])));
        assert_eq!(table.usages, "ECHO | echo | ECHOES");
    }
}

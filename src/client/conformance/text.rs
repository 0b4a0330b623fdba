//! What a text server promises.

use super::{Check, Limit};

/// The promises, the plain ones first.
pub const CHECKS: &[Check] = &[
    Check::new("the banner comes first", |probe| probe.open()?.expect_no_more()),
    Check::new("TIME answers local time with its offset", |probe| {
        let mut wire = probe.open()?;
        wire.send(b"TIME\n")?;
        wire.expect_line("\"TIME 2025-09-12T17:24:13-05:00\\n\" or another time", is_time)
    }),
    Check::new("ECHO answers its text", |probe| {
        probe.dialogue(b"ECHO Hello from client\n", b"ECHO Hello from client\n")
    }),
    Check::new("ECHO without a text is refused", |probe| {
        probe.dialogue(b"ECHO\nECHO  \n", b"ERROR BAD_ARGUMENTS\nERROR BAD_ARGUMENTS\n")
    }),
    Check::new("HELP lists the commands in one line", |probe| {
        let mut wire = probe.open()?;
        wire.send(b"HELP\n")?;
        wire.expect_line(
            "\"HELP COMMANDS: TIME | ECHO <TEXT> | HELP | QUIT\\n\", perhaps with more",
            is_help,
        )
    }),
    Check::new("QUIT is answered and closes", |probe| probe.last_dialogue(b"QUIT\n", b"BYE\n")),
    Check::new("nothing after QUIT is run", |probe| {
        probe.last_dialogue(b"QUIT\nECHO late\nQUIT\n", b"BYE\n")
    }),
    Check::new("an unknown command is refused and the session goes on", |probe| {
        let unknown =
            b"ERROR UNKNOWN_COMMAND\nERROR UNKNOWN_COMMAND\nERROR UNKNOWN_COMMAND\nECHO on\n";
        probe.dialogue(b"FOO\nECHOO x\nTIM\nECHO on\n", unknown)
    }),
    Check::new("commands come in any case, texts keep theirs", |probe| {
        probe.last_dialogue(b"echo Hi\neChO hI\nqUiT\n", b"ECHO Hi\nECHO hI\nBYE\n")
    }),
    Check::new("a carriage return before the newline is dropped", |probe| {
        probe.dialogue(b"ECHO hi\r\necho a\rb\r\n", b"ECHO hi\nECHO a\rb\n")
    }),
    Check::new("blanks around a command are dropped, those inside a text kept", |probe| {
        probe.dialogue(b" \t ECHO   a  b\tc \t \n", b"ECHO a  b\tc\n")
    }),
    Check::new("an empty line gets no answer", |probe| {
        probe.dialogue(b"\n\r\n \t \n\nECHO x\n", b"ECHO x\n")
    }),
    Check::new("texts of any encoding are kept byte for byte", |probe| {
        let line = b"ECHO \xc3\xa9\xe5\xad\x97\xf0\x9f\x99\x82 \x00\x01\xff\xfb\xff\xfe\x80\n";
        probe.dialogue(line, line)
    }),
    Check::new("pipelined commands are answered in order", |probe| {
        let lines = numbered_lines(1_000);
        probe.dialogue(&lines, &lines)
    }),
    Check::new("answers that nobody reads for a while all arrive", |probe| {
        let lines = numbered_lines(60_000);
        probe.unread_dialogue(&lines, &lines)
    }),
    Check::new("a command may come byte by byte", |probe| {
        probe.dripped_dialogue(b"ECHO drip\r\necho drop\n", b"ECHO drip\nECHO drop\n")
    }),
    Check::new("commands may be cut anywhere", |probe| {
        probe.cut_dialogue(
            b"ECHO one\r\nfoo\n\nECHO two\n",
            b"ECHO one\nERROR UNKNOWN_COMMAND\nECHO two\n",
        )
    }),
    Check::new("a half-closed connection is answered, then closed", |probe| {
        probe.half_closed_dialogue(b"ECHO a\nECHO b\n", b"ECHO a\nECHO b\n")
    }),
    Check::new("half a command is never run", |probe| {
        probe.half_closed_dialogue(b"ECHO a\nECHO half", b"ECHO a\n")?;
        probe.half_closed_dialogue(b"QUIT", b"")
    }),
    Check::new("half a command holds nobody else up", |probe| {
        let mut slow = probe.open()?;
        slow.send(b"ECHO sl")?;
        probe.dialogue(b"ECHO quick\n", b"ECHO quick\n")?;
        slow.send(b"ow\n")?;
        slow.expect(b"ECHO slow\n")
    }),
    Check::new("telnet negotiation before or inside a command word is ignored", |probe| {
        probe.dialogue(b"\xff\xfd\x03\xff\xfb\x18ECHO before\r\n", b"ECHO before\n")?;
        probe.dialogue(b"EC\xff\xf1HO inside\r\n", b"ECHO inside\n")?;
        probe.dialogue(b"\xff\xfa\x18\x00xterm\xff\xf0ECHO sub\r\n", b"ECHO sub\n")
    }),
    Check::new("HTTP is refused and the connection closed", |probe| {
        probe.last_dialogue(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"ERROR NOT_HTTP\n")?;
        probe.last_dialogue(
            b"POST /x HTTP/1.0\r\nContent-Length: 7\r\n\r\nECHO x\n",
            b"ERROR NOT_HTTP\n",
        )
    }),
    Check::at(Limit::Line, "a line of exactly the limit is taken", |probe| {
        let line = line_of(probe.assumed.line_len_max());
        probe.dialogue(&[&line[..], b"\n"].concat(), &[&line[..], b"\n"].concat())?;
        probe.dialogue(&[&line[..], b"\r\n"].concat(), &[&line[..], b"\n"].concat())
    }),
    Check::at(Limit::Line, "a longer line is refused once and the session goes on", |probe| {
        for excess in [1, 2, probe.assumed.line_len_max()] {
            let line = line_of(probe.assumed.line_len_max() + excess);
            let request = [&line[..], b"\nECHO after\n"].concat();
            probe.dialogue(&request, b"ERROR LINE_TOO_LONG\nECHO after\n")?;
        }
        Ok(())
    }),
    Check::at(Limit::Line, "a line that grows too long is refused before it ends", |probe| {
        let mut wire = probe.open()?;
        wire.send(&line_of(probe.assumed.line_len_max() + 2))?;
        wire.expect(b"ERROR LINE_TOO_LONG\n")?;
        wire.send(b" and its end\nECHO after\n")?;
        wire.expect(b"ECHO after\n")?;
        wire.expect_no_more()
    }),
];

/// `TIME 2025-09-12T17:24:13-05:00`, any digits and either sign.
fn is_time(line: &[u8]) -> bool {
    const SHAPE: &[u8] = b"TIME 0000-00-00T00:00:00+00:00";
    line.len() == SHAPE.len()
        && line.iter().zip(SHAPE).all(|(byte, shape)| match shape {
            b'0' => byte.is_ascii_digit(),
            b'+' => matches!(byte, b'+' | b'-'),
            _ => byte == shape,
        })
}

fn is_help(line: &[u8]) -> bool {
    let more = line.strip_prefix(b"HELP COMMANDS: TIME | ECHO <TEXT> | HELP | QUIT");
    more.is_some_and(|more| more.is_empty() || more.starts_with(b" | "))
}

fn numbered_lines(count: usize) -> Vec<u8> {
    (0..count)
        .flat_map(|number| format!("ECHO line number {number} of many\n").into_bytes())
        .collect()
}

/// An ECHO command of `len` bytes without its ending.
fn line_of(len: usize) -> Vec<u8> {
    let mut line = b"ECHO ".to_vec();
    line.resize(len, b'x');
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_one_form_of_a_time_will_do() {
        assert!(is_time(b"TIME 2025-09-12T17:24:13-05:00"));
        assert!(is_time(b"TIME 2025-09-12T17:24:13+00:00"));
        for wrong in [
            "TIME 2025-09-12T17:24:13Z",
            "TIME 2025-09-12T17:24:13.5+00:00",
            "2025-09-12T17:24:13+00:00",
        ] {
            assert!(!is_time(wrong.as_bytes()), "{wrong}");
        }
    }

    #[test]
    fn more_commands_may_follow_in_the_help() {
        assert!(is_help(b"HELP COMMANDS: TIME | ECHO <TEXT> | HELP | QUIT"));
        assert!(is_help(b"HELP COMMANDS: TIME | ECHO <TEXT> | HELP | QUIT | CALC <EXPRESSION>"));
        assert!(!is_help(b"HELP COMMANDS: TIME | ECHO <TEXT> | HELP | QUITE"));
    }
}

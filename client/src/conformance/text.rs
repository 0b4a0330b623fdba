//! The promises of a text server.

use super::{Check, Limit};

/// The original README states each command, each answer, both errors, the newline as the end of a
/// message and that case does not matter. It names netcat and telnet as clients, which send `\r\n`
/// or several lines at once, and a thread for each client.
pub const PROTOCOL_CHECKS: &[Check] = &[
    Check::new("the banner comes first", |probe| probe.open()?.expect_no_more()),
    Check::new("TIME returns the local time with its offset", |probe| {
        let mut connection = probe.open()?;
        connection.send(b"TIME\n")?;
        connection.expect_line("\"TIME 2025-09-12T17:24:13-05:00\\n\" or another time", is_time)
    }),
    Check::new("ECHO returns its text", |probe| {
        probe.exchange(b"ECHO Hello from client\n", b"ECHO Hello from client\n")
    }),
    Check::new("ECHO returns text in UTF-8", |probe| {
        let line = "ECHO é字🙂\n".as_bytes();
        probe.exchange(line, line)
    }),
    Check::new("ECHO without a text is refused", |probe| {
        probe.exchange(b"ECHO\n", b"ERROR BAD_ARGUMENTS\n")
    }),
    Check::new("HELP lists the four commands in one line", |probe| {
        let mut connection = probe.open()?;
        connection.send(b"HELP\n")?;
        connection.expect_line("a line with TIME, ECHO, HELP and QUIT", lists_commands)
    }),
    Check::new("QUIT is answered, then the server closes", |probe| {
        probe.last_exchange(b"QUIT\n", b"BYE\n")
    }),
    Check::new("an unknown command is refused and the session continues", |probe| {
        let unknown = b"ERROR UNKNOWN_COMMAND\nERROR UNKNOWN_COMMAND\nECHO on\n";
        probe.exchange(b"FOO\nBAR x\nECHO on\n", unknown)
    }),
    Check::new("commands are accepted in any case, texts keep theirs", |probe| {
        probe.last_exchange(b"echo Hi\neChO hI\nqUiT\n", b"ECHO Hi\nECHO hI\nBYE\n")
    }),
    Check::new("a carriage return before the newline is dropped", |probe| {
        probe.exchange(b"ECHO hi\r\n", b"ECHO hi\n")
    }),
    Check::new("pipelined commands are answered in order", |probe| {
        let lines = numbered_lines(1_000);
        probe.exchange(&lines, &lines)
    }),
    Check::new("a command may arrive byte by byte", |probe| {
        probe.bytewise_exchange(b"ECHO drip\r\necho drop\n", b"ECHO drip\nECHO drop\n")
    }),
    Check::new("commands may be cut anywhere", |probe| {
        probe.cut_exchange(
            b"ECHO one\r\nfoo\nECHO two\n",
            b"ECHO one\nERROR UNKNOWN_COMMAND\nECHO two\n",
        )
    }),
    Check::new("a half-closed connection is answered, then closed", |probe| {
        probe.half_closed_exchange(b"ECHO a\nECHO b\n", b"ECHO a\nECHO b\n")
    }),
    Check::new("an incomplete command does not delay another client", |probe| {
        let mut slow = probe.open()?;
        slow.send(b"ECHO sl")?;
        probe.exchange(b"ECHO quick\n", b"ECHO quick\n")?;
        slow.send(b"ow\n")?;
        slow.expect(b"ECHO slow\n")
    }),
];

/// The original README does not specify these cases, and its clients do not meet them.
pub const SERVER_CHECKS: &[Check] = &[
    // An original may list its commands in another form.
    Check::new("HELP has the one form that programs can read", |probe| {
        let mut connection = probe.open()?;
        connection.send(b"HELP\n")?;
        connection.expect_line(
            "\"HELP COMMANDS: TIME | ECHO <TEXT> | HELP | QUIT\\n\", perhaps with more",
            is_help,
        )
    }),
    // An original does not have this command.
    Check::new("STATUS returns keys and values in one line", |probe| {
        let mut connection = probe.open()?;
        connection.send(b"STATUS\n")?;
        connection.expect_line("a line of STATUS and pairs of key=value", is_status)
    }),
    // An original may compare only the first letters.
    Check::new("a word that only resembles a command is refused", |probe| {
        probe.exchange(b"ECHOO x\nTIM\n", b"ERROR UNKNOWN_COMMAND\nERROR UNKNOWN_COMMAND\n")
    }),
    // An original closes with unread bytes: the connection is reset, and BYE may be lost.
    Check::new("nothing after QUIT is run", |probe| {
        probe.last_exchange(b"QUIT\nECHO late\nQUIT\n", b"BYE\n")
    }),
    // An original may return the blanks.
    Check::new("ECHO with nothing but blanks is refused", |probe| {
        probe.exchange(b"ECHO  \n", b"ERROR BAD_ARGUMENTS\n")
    }),
    // An original may keep them, or drop those inside too.
    Check::new("blanks around a command are dropped, those inside a text kept", |probe| {
        probe.exchange(b" \t ECHO   a  b\tc \t \n", b"ECHO a  b\tc\n")
    }),
    // The line reader of Python ends a line there.
    Check::new("a carriage return inside a text is kept", |probe| {
        probe.exchange(b"echo a\rb\r\n", b"ECHO a\rb\n")
    }),
    // An original may answer with an error.
    Check::new("an empty line gets no answer", |probe| {
        probe.exchange(b"\n\r\n \t \n\nECHO x\n", b"ECHO x\n")
    }),
    // An original decodes UTF-8, and fails.
    Check::new("ECHO returns bytes of any encoding", |probe| {
        let line = b"ECHO \xc3\xa9\xe5\xad\x97\xf0\x9f\x99\x82 \x00\x01\xff\xfb\xff\xfe\x80\n";
        probe.exchange(line, line)
    }),
    // An original client reads each answer before its next request.
    Check::new("answers that the client reads late all arrive", |probe| {
        let lines = numbered_lines(60_000);
        probe.unread_exchange(&lines, &lines)
    }),
    // The line reader of Python returns a last line without its newline.
    Check::new("an incomplete command is never run", |probe| {
        probe.half_closed_exchange(b"ECHO a\nECHO half", b"ECHO a\n")?;
        probe.half_closed_exchange(b"QUIT", b"")
    }),
    // An original knows no other protocols: telnet, HTTP and TLS are unknown commands.
    Check::new("telnet negotiation before or inside a command word is ignored", |probe| {
        probe.exchange(b"\xff\xfd\x03\xff\xfb\x18ECHO before\r\n", b"ECHO before\n")?;
        probe.exchange(b"EC\xff\xf1HO inside\r\n", b"ECHO inside\n")?;
        probe.exchange(b"\xff\xfa\x18\x00xterm\xff\xf0ECHO sub\r\n", b"ECHO sub\n")
    }),
    Check::new("HTTP is refused, then the server closes", |probe| {
        probe.last_exchange(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"ERROR NOT_HTTP\n")?;
        probe.last_exchange(
            b"POST /x HTTP/1.0\r\nContent-Length: 7\r\n\r\nECHO x\n",
            b"ERROR NOT_HTTP\n",
        )
    }),
    Check::new(super::TLS_IS_REFUSED, |probe| probe.tls_exchange(b"ERROR NOT_TLS\n")),
    // An original has no limit, or another one.
    Check::at(Limit::Line, "a line of exactly the limit is accepted", |probe| {
        let line = line_of(probe.limits.line_len_max());
        probe.exchange(&[&line[..], b"\n"].concat(), &[&line[..], b"\n"].concat())?;
        probe.exchange(&[&line[..], b"\r\n"].concat(), &[&line[..], b"\n"].concat())
    }),
    Check::at(Limit::Line, "a longer line is refused once and the session continues", |probe| {
        for excess in [1, 2, probe.limits.line_len_max()] {
            let line = line_of(probe.limits.line_len_max() + excess);
            let request = [&line[..], b"\nECHO after\n"].concat();
            probe.exchange(&request, b"ERROR LINE_TOO_LONG\nECHO after\n")?;
        }
        Ok(())
    }),
    Check::at(Limit::Line, "a line that grows too long is refused before it ends", |probe| {
        let mut connection = probe.open()?;
        connection.send(&line_of(probe.limits.line_len_max() + 2))?;
        connection.expect(b"ERROR LINE_TOO_LONG\n")?;
        connection.send(b" and its end\nECHO after\n")?;
        connection.expect(b"ECHO after\n")?;
        connection.expect_no_more()
    }),
];

/// Returns true for a line such as `TIME 2025-09-12T17:24:13-05:00`, with any digits and either
/// sign.
fn is_time(line: &[u8]) -> bool {
    const SHAPE: &[u8] = b"TIME 0000-00-00T00:00:00+00:00";
    line.len() == SHAPE.len()
        && line.iter().zip(SHAPE).all(|(byte, shape)| match shape {
            b'0' => byte.is_ascii_digit(),
            b'+' => matches!(byte, b'+' | b'-'),
            _ => byte == shape,
        })
}

/// Returns true for a line that contains the four commands, in whatever form.
fn lists_commands(line: &[u8]) -> bool {
    let contains = |word: &str| line.windows(word.len()).any(|window| window == word.as_bytes());
    ["TIME", "ECHO", "HELP", "QUIT"].into_iter().all(contains)
}

/// Returns true for the exact form of the help; further commands may follow.
fn is_help(line: &[u8]) -> bool {
    let more = line.strip_prefix(b"HELP COMMANDS: TIME | ECHO <TEXT> | HELP | QUIT");
    more.is_some_and(|more| more.is_empty() || more.starts_with(b" | "))
}

/// Returns true for `STATUS` and pairs of a key and a value.
fn is_status(line: &[u8]) -> bool {
    let pairs = line.strip_prefix(b"STATUS ").unwrap_or_default();
    pairs.split(|byte| *byte == b' ').all(|pair| {
        let equals = pair.iter().position(|byte| *byte == b'=');
        equals.is_some_and(|place| place > 0 && place + 1 < pair.len())
    })
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
    fn a_time_has_exactly_one_form() {
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

    #[test]
    fn the_help_of_an_original_server_may_have_another_form() {
        assert!(lists_commands(b"COMMANDS: TIME, ECHO <TEXT>, HELP, QUIT"));
        assert!(!lists_commands(b"COMMANDS: TIME, ECHO <TEXT>, HELP"));
    }
}

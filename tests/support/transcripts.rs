//! Reads the transcripts of `protocol.md`.

/// One fenced block.
pub struct Transcript {
    /// The line of `protocol.md` with its first step.
    pub first_line: usize,
    /// The protocol of the connections.
    pub protocol: String,
    /// The flags of the server it runs against.
    pub flags: Vec<String>,
    /// The steps, in order.
    pub steps: Vec<Step>,
}

/// One line of a transcript. The connection is named `' '` or `'B'`.
pub enum Step {
    /// The client sends these bytes, in one piece.
    Send(char, Vec<u8>),
    /// The client ends its input.
    HalfClose(char),
    /// The server sends these bytes, in which `<local time>` stands for a time.
    Expect(char, Vec<u8>),
    /// The server has closed.
    ExpectEof(char),
    /// The server's process gets the signal of this name.
    Signal(String),
}

/// Returns the transcripts of `page`, which is the text of `protocol.md`.
pub fn read(page: &str) -> Vec<Transcript> {
    let mut lines = page.lines().enumerate();
    let mut transcripts = Vec::new();
    while let Some((index, line)) = lines.next() {
        let Some(info) = line.strip_prefix("```") else { continue };
        let mut words = info.split_ascii_whitespace().map(str::to_owned);
        let name = words.next().unwrap_or_default();
        let protocol = name
            .strip_suffix("-session")
            .unwrap_or_else(|| panic!("protocol.md:{}: {name}", index + 1));
        let body = lines.by_ref().take_while(|(_, line)| *line != "```");
        let steps = body.filter_map(|(index, line)| step(protocol, line, index + 1)).collect();
        let transcript = Transcript {
            first_line: index + 2,
            protocol: protocol.into(),
            flags: words.collect(),
            steps,
        };
        transcripts.push(transcript);
    }
    transcripts
}

/// Returns the step of a line, or `None` for a remark.
fn step(protocol: &str, line: &str, number: usize) -> Option<Step> {
    let (peer, rest) = match line.strip_prefix('B') {
        Some(rest) => ('B', rest),
        None => (' ', line),
    };
    let (mark, rest) =
        rest.split_once(' ').unwrap_or_else(|| panic!("protocol.md:{number}: {line:?} is no step"));
    let bytes = || match protocol {
        "binary" => {
            repeated(rest.split_once('#').map_or(rest, |(digits, _remark)| digits), hexadecimal)
        }
        _ => repeated(rest, unescaped),
    };
    let step = match (mark, rest) {
        ("#", _) => return None,
        ("!", signal) => {
            Step::Signal(signal.strip_prefix("SIG").expect("the name of a signal").to_owned())
        }
        (">", "<half-close>") => Step::HalfClose(peer),
        ("<", "<eof>") => Step::ExpectEof(peer),
        (">", _) => Step::Send(peer, bytes()),
        ("<", _) => Step::Expect(peer, bytes()),
        _ => panic!("protocol.md:{number}: {line:?} is no step"),
    };
    Some(step)
}

/// Expands the marks in `text`: `<3 x AB>` means `AB` three times. `plain` reads the text between
/// marks and in them.
fn repeated(text: &str, plain: fn(&str) -> Vec<u8>) -> Vec<u8> {
    let repetition = |open: usize| {
        let (inside, after) = text[open + 1..].split_once('>')?;
        let (times, what) = inside.split_once(" x ")?;
        Some((times.parse::<usize>().ok()?, what, after))
    };
    for (open, _) in text.match_indices('<') {
        if let Some((times, what, after)) = repetition(open) {
            return [plain(&text[..open]), plain(what).repeat(times), repeated(after, plain)]
                .concat();
        }
    }
    plain(text)
}

/// Reads pairs of hexadecimal digits.
fn hexadecimal(text: &str) -> Vec<u8> {
    let byte = |pair| {
        u8::from_str_radix(pair, 16).unwrap_or_else(|_| panic!("{pair:?} in {text:?} is no byte"))
    };
    text.split_ascii_whitespace().map(byte).collect()
}

/// Reads ASCII with the escapes `\n \r \t \\ \xFF`.
fn unescaped(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text;
    while let Some((plain, escape)) = rest.split_once('\\') {
        bytes.extend(plain.as_bytes());
        let (byte, len) = match escape.as_bytes().first() {
            Some(b'n') => (b'\n', 1),
            Some(b'r') => (b'\r', 1),
            Some(b't') => (b'\t', 1),
            Some(b'\\') => (b'\\', 1),
            Some(b'x') => {
                (u8::from_str_radix(&escape[1..3], 16).expect("two hexadecimal digits"), 3)
            }
            _ => panic!("an unknown escape in {text:?}"),
        };
        bytes.push(byte);
        rest = &escape[len..];
    }
    bytes.extend(rest.as_bytes());
    bytes
}

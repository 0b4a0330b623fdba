//! A model for tests: what the commands about rooms answer to a connection that is alone.

use crate::limits::Limits;

/// A command about rooms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    /// Join a room.
    Join,
    /// Leave the room.
    Leave,
    /// Say a text.
    Say,
    /// Take a name, or ask for the own one.
    Nick,
    /// List the members.
    Who,
}

impl Request {
    /// The commands.
    const ALL: [Self; 5] = [Self::Join, Self::Leave, Self::Say, Self::Nick, Self::Who];

    /// The word of the command in `text` and `chat`.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Join => "JOIN",
            Self::Leave => "LEAVE",
            Self::Say => "SAY",
            Self::Nick => "NICK",
            Self::Who => "WHO",
        }
    }

    /// The code of the command, and of its answer, in `binary`.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Join => 16,
            Self::Leave => 17,
            Self::Say => 18,
            Self::Nick => 20,
            Self::Who => 21,
        }
    }

    /// The first word of its answer in `text`.
    #[must_use]
    pub const fn answer_word(self) -> &'static str {
        match self {
            Self::Join => "JOINED",
            Self::Leave => "LEFT",
            Self::Say => "SAID",
            Self::Nick => "NICK",
            Self::Who => "MEMBERS",
        }
    }

    /// Returns the command with this word of `text`, in any case of letters.
    #[must_use]
    pub fn of_word(word: &[u8]) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.word().as_bytes().eq_ignore_ascii_case(word))
    }

    /// Returns the command with this code of `binary`.
    #[must_use]
    pub fn of_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.code() == code)
    }

    /// Returns the command that a message of `chat` is, and its argument without the blanks around
    /// it; `None` if it is another message.
    #[must_use]
    pub fn of_message(message: &[u8]) -> Option<(Self, &[u8])> {
        let is_blank = |byte: &u8| matches!(byte, b' ' | b'\t');
        let word = message.split(is_blank).next().unwrap_or_default();
        let request = Self::of_word(word.strip_prefix(b"/")?)?;
        let (_, mut argument) = message.split_at(word.len());
        while let [first, rest @ ..] = argument
            && is_blank(first)
        {
            argument = rest;
        }
        while let [rest @ .., last] = argument
            && is_blank(last)
        {
            argument = rest;
        }
        Some((request, argument))
    }
}

/// A connection that is alone in its room, on a clock that stands still.
#[derive(Clone, Debug)]
pub struct LoneMember {
    name: String,
    room: Option<String>,
    said: u32,
    limits: Limits,
}

impl LoneMember {
    /// Creates the member of connection `number`, in no room.
    #[must_use]
    pub fn new(number: u64, limits: &Limits) -> Self {
        Self { name: format!("guest-{number}"), room: None, said: 0, limits: *limits }
    }

    /// Returns its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the answer to a command as `binary` sends it.
    ///
    /// # Errors
    /// The token of the error.
    pub fn answer(&mut self, request: Request, argument: &[u8]) -> Result<String, &'static str> {
        let is_in_a_room = self.room.is_some();
        let text = std::str::from_utf8(argument).ok();
        match request {
            Request::Join | Request::Say if argument.is_empty() => Err("BAD_ARGUMENTS"),
            Request::Join => {
                self.room = Some(name(text)?);
                Ok(self.room.clone().unwrap_or_default())
            }
            Request::Nick if argument.is_empty() => Ok(self.name.clone()),
            Request::Nick => {
                let name = name(text)?;
                let digits = name.strip_prefix("guest-").unwrap_or("x");
                let is_reserved = name == "ACK" || name.eq_ignore_ascii_case("operator");
                if digits.chars().all(|c| c.is_ascii_digit()) || is_reserved {
                    return Err("BAD_NAME");
                }
                self.name.clone_from(&name);
                Ok(name)
            }
            Request::Leave => self.room.take().ok_or("NO_ROOM"),
            _ if !is_in_a_room => Err("NO_ROOM"),
            Request::Who => Ok(format!("1 {}", self.name)),
            Request::Say if argument.len() > self.limits.say_bytes_max as usize => {
                Err("TEXT_TOO_LONG")
            }
            Request::Say => {
                let is_bad = |c| char::is_control(c) || c == '\u{2028}' || c == '\u{2029}';
                if text.ok_or("BAD_TEXT")?.contains(is_bad) {
                    return Err("BAD_TEXT");
                }
                if self.limits.say_rate_max.is_some_and(|rate| self.said >= rate) {
                    return Err("TOO_FAST");
                }
                self.said += 1;
                Ok("0".into())
            }
        }
    }

    /// Returns the answer to a command of `text`, without its newline.
    pub fn answer_line(&mut self, request: Request, argument: &[u8]) -> String {
        let word = request.answer_word();
        match self.answer(request, argument) {
            Ok(answer) => format!("{word} {answer}"),
            Err(token) => format!("ERROR {token}"),
        }
    }

    /// Returns the answer to a message of `chat`; `None` if it is not a command about rooms.
    pub fn answer_message(&mut self, message: &[u8]) -> Option<String> {
        let (request, argument) = Request::of_message(message)?;
        Some(match (request, self.answer(request, argument)) {
            (_, Err(token)) => format!("ERROR {token}"),
            (Request::Join, Ok(room)) => format!("Joined {room} as {}.", self.name),
            (Request::Leave, Ok(room)) => format!("Left {room}."),
            (Request::Say, Ok(count)) => format!("Said to {count} members."),
            (Request::Nick, Ok(name)) => format!("You are {name}."),
            (Request::Who, Ok(_)) => format!("1 member: {}", self.name),
        })
    }

    /// True if it is in a room: its answers then have an ending in any case.
    #[must_use]
    pub const fn is_in_a_room(&self) -> bool {
        self.room.is_some()
    }
}

fn name(text: Option<&str>) -> Result<String, &'static str> {
    let is_good = |c: char| c.is_alphanumeric() || c == '-' || c == '_';
    let text = text.ok_or("BAD_NAME")?;
    if text.is_empty() || text.len() > 32 || !text.chars().all(is_good) {
        return Err("BAD_NAME");
    }
    Ok(text.to_owned())
}

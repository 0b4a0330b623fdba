//! The check of what the server sends: the answers in order, and news between them.

use super::news::{self, News, Stay};
use super::rooms::{Change, Rooms};
use super::{Language, Oracle};

impl Oracle {
    /// Checks `bytes` that the server sends: they must be the next bytes of the answers, and of the
    /// news of its room between them. `is_time` checks a time. Returns the news that are whole.
    pub fn check_sent(
        &mut self,
        bytes: &[u8],
        id: usize,
        rooms: &Rooms,
        is_time: impl Fn(&str) -> bool,
    ) -> Result<Vec<News>, String> {
        let mut rest = [&std::mem::take(&mut self.begun_news), bytes].concat();
        let mut told = Vec::new();
        while !rest.is_empty() {
            let are_news = match self.sent_len {
                0 => news::are_begun(self.language, &rest),
                _ => Some(false),
            };
            let len = match are_news {
                Some(false) => Some(self.check_answer(&rest, &is_time)?),
                Some(true) => news::len(self.language, &rest),
                None => None,
            };
            let Some(len) = len else {
                self.begun_news = rest;
                break;
            };
            if are_news == Some(true) {
                told.push(self.check_news(&rest[..len], id, rooms)?);
            }
            rest.drain(..len);
        }
        Ok(told)
    }

    fn check_news(&mut self, bytes: &[u8], id: usize, rooms: &Rooms) -> Result<News, String> {
        let is_crlf = self.language == Language::Chat && self.ends_with_crlf;
        let ending = if is_crlf { "\r\n" } else { "\n" };
        let news = News::parse(self.language, bytes, ending)
            .ok_or_else(|| format!("\"{}\" are no news", excerpt(bytes)))?;
        match &mut self.stay {
            Some(stay) => stay.hear(&news, id, rooms).map(|()| news),
            None => Err(format!("it is in no room, and receives {news:?}")),
        }
    }

    /// Checks the bytes of an answer, or of a part of it, at the front of `bytes`. Returns how many
    /// they are.
    fn check_answer(
        &mut self,
        bytes: &[u8],
        is_time: impl Fn(&str) -> bool,
    ) -> Result<usize, String> {
        let Some(answer) = self.answers.front_mut().filter(|answer| answer.question.is_none())
        else {
            return Err(format!("no answer is due, and the server sends \"{}\"", excerpt(bytes)));
        };
        let mut len = bytes.len().min(answer.bytes.len() - self.sent_len);
        let mut place = self.sent_len..self.sent_len + len;
        if !answer.takes(place.clone(), &bytes[..len])
            && let Some(other) = answer.or_else.take()
            && other.starts_with(&answer.bytes[..self.sent_len])
        {
            (answer.bytes, answer.open) = (other, 0..0);
            len = bytes.len().min(answer.bytes.len() - self.sent_len);
            place = self.sent_len..self.sent_len + len;
        }
        if !answer.takes(place.clone(), &bytes[..len]) {
            let (expected, seen) = (excerpt(&answer.bytes[place]), excerpt(bytes));
            return Err(format!("\"{expected}\" was expected, not \"{seen}\""));
        }
        self.sent_len += len;
        if self.sent_len == answer.bytes.len() {
            answer.check_open(is_time)?;
            self.ends_with_crlf = answer.bytes.ends_with(b"\r\n");
            let change = self.answers.pop_front().map_or(Change::Nothing, |answer| answer.change);
            self.stay = Stay::after(self.stay.take(), change);
            self.sent_len = 0;
        }
        Ok(len)
    }
}

fn excerpt(bytes: &[u8]) -> String {
    format!(
        "{}{}",
        bytes[..bytes.len().min(60)].escape_ascii(),
        if bytes.len() > 60 { "..." } else { "" }
    )
}

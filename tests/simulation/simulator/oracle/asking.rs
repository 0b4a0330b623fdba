//! Commands about rooms, whose answers depend on the other members: they are known when a session
//! has run the command, not when its bytes were read.

use tinytcp_core::protocol::binary::ERROR;
use tinytcp_core::testing::Request;

use super::answer::{Answer, Meaning};
use super::binary::frame;
use super::rooms::{Outcome, Reply, Rooms};
use super::{Language, Oracle};

/// A command about rooms that was read and not run.
pub struct Question {
    request: Request,
    argument: Vec<u8>,
    /// The length of the input up to its end.
    input_len: usize,
    ending: Vec<u8>,
}

impl Oracle {
    /// Notes a command that ends with the first `input_len` bytes of the input.
    pub(super) fn ask(
        &mut self,
        request: Request,
        argument: &[u8],
        input_len: usize,
        ending: &[u8],
    ) {
        let (argument, ending) = (argument.to_vec(), ending.to_vec());
        let question = Some(Question { request, argument, input_len, ending });
        self.answers.push_back(Answer { question, ..Answer::new(Vec::new()) });
        self.questions += 1;
    }

    /// Runs the commands about rooms in the first `input_len` bytes of the input of the connection
    /// `id`, which has the number `number`.
    pub fn run_commands(&mut self, input_len: usize, id: usize, number: u64, rooms: &mut Rooms) {
        while self.questions > 0 {
            let mut answers = self.answers.iter_mut();
            let Some(answer) = answers.find(|answer| answer.question.is_some()) else { return };
            let Some(question) = answer.question.take_if(|it| it.input_len <= input_len) else {
                return;
            };
            self.questions -= 1;
            let outcome = rooms.run(id, number, question.request, &question.argument);
            self.is_member = outcome.is_member;
            let needs_ending = question.ending.is_empty() && outcome.is_member;
            let ending = if needs_ending { b"\n" } else { &question.ending[..] };
            answer.complete(self.language, question.request, outcome, ending);
        }
    }
}

impl Answer {
    /// Computes the bytes of the answer to `request`.
    fn complete(&mut self, language: Language, request: Request, outcome: Outcome, ending: &[u8]) {
        let Outcome { answer, name, change, .. } = outcome;
        let separator = if language == Language::Chat { ", " } else { " " };
        self.bytes = match &answer {
            Ok(reply) if language == Language::Binary => {
                let payload = payload(reply, &name);
                frame(request.code(), payload.as_bytes())
            }
            Ok(reply) if language == Language::Chat => phrase(request, reply, &name).into_bytes(),
            Ok(reply) => {
                format!("{} {}", request.answer_word(), payload(reply, &name)).into_bytes()
            }
            Err(token) if language == Language::Binary => frame(ERROR, token.as_bytes()),
            Err(token) => format!("ERROR {token}").into_bytes(),
        };
        if let Ok(Reply::Others(others)) = answer {
            let others_len = others.join(separator).len();
            self.open = self.bytes.len() - others_len..self.bytes.len();
            self.meaning = Meaning::Names(others, separator);
        }
        if language != Language::Binary {
            self.bytes.extend_from_slice(ending);
        }
        self.change = change;
    }
}

/// The answer in `binary`, and in `text` after its first word.
fn payload(reply: &Reply, name: &str) -> String {
    match reply {
        Reply::Word(word) => word.clone(),
        Reply::Count(count) => count.to_string(),
        Reply::Others(others) => format!("{} {}", others.len() + 1, list(name, others, " ")),
    }
}

/// The answer in `chat`.
fn phrase(request: Request, reply: &Reply, name: &str) -> String {
    let members = |count| if count == 1 { "1 member".into() } else { format!("{count} members") };
    match (request, reply) {
        (Request::Join, Reply::Word(room)) => format!("Joined {room} as {name}."),
        (Request::Leave, Reply::Word(room)) => format!("Left {room}."),
        (_, Reply::Word(name)) => format!("You are {name}."),
        (_, Reply::Count(count)) => format!("Said to {}.", members(*count)),
        (_, Reply::Others(others)) => {
            format!("{}: {}", members(others.len() + 1), list(name, others, ", "))
        }
    }
}

/// The members of a room: the one that asks, and the others.
fn list(name: &str, others: &[String], separator: &str) -> String {
    let names: Vec<&str> = std::iter::once(name).chain(others.iter().map(String::as_str)).collect();
    names.join(separator)
}

//! The sessions that the original clients show, asked of a real server.

use super::connect::{Patience, connect};
use super::dialogue::{Request, Voice};
use super::failure::{Failure, Verdict};
use super::link::Link;
use super::output::{Output, printable};
use super::target::Target;

/// Prints the demo of the target's protocol, one connection for each of its sessions.
///
/// # Errors
/// As [`Failure`] says.
pub fn run(target: &Target, patience: Patience) -> Result<Verdict, Failure> {
    let voice = target.protocol.voice();
    let mut output = Output::new();
    let mut verdict = Verdict::Fine;
    for commands in voice.demo {
        let mut session = Session { target, voice, output: &mut output, verdict: &mut verdict };
        session.run(patience, commands)?;
    }
    Ok(verdict)
}

struct Session<'a> {
    target: &'a Target,
    voice: &'a Voice,
    output: &'a mut Output,
    verdict: &'a mut Verdict,
}

impl Session<'_> {
    fn run(&mut self, patience: Patience, commands: &[&str]) -> Result<(), Failure> {
        self.output.say(&self.voice.connecting(self.target))?;
        self.output.flush()?;
        let mut link = Link::new(self.target, connect(self.target, patience)?, patience.timeout);
        self.output.say(&self.voice.connected(self.target))?;
        if let Some(banner) = self.target.protocol.banner() {
            self.show(link.answer(&banner)?)?;
        }
        for command in commands {
            self.output.say(&format!("{}{command}\n", self.voice.prompt))?;
            let mut request = Vec::new();
            let asked = self.target.protocol.encode(command.as_bytes(), &mut request).map_err(Failure::Usage)?;
            link.send(&request)?;
            match asked {
                Request::Answered(due) | Request::Farewell(Some(due)) => self.show(link.answer(&due)?)?,
                Request::Silent => {}
                Request::Farewell(None) => self.output.say(self.voice.left)?,
            }
        }
        self.output.say(self.voice.closing)?;
        self.output.flush()
    }

    fn show(&mut self, answer: super::dialogue::Answer<'_>) -> Result<(), Failure> {
        if answer.is_error {
            *self.verdict = Verdict::Refused;
        }
        self.output.say(&format!("{}{}\n", self.voice.answer, printable(answer.text)))?;
        self.output.flush()
    }
}

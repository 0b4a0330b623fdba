//! The sessions that the original clients show, asked of a real server.

mod link;

use link::Link;
use tinytcp_cli::target::Target;

use super::connect::{Patience, connect};
use super::dialogue::{Answer, Dialogue, Request, Voice};
use super::failure::{Failure, Verdict};
use super::output::{Output, printable};

/// Prints the demo of the target's protocol, one connection for each of its sessions.
///
/// It asks for nothing that a server could refuse, so an answer that is an error is the last one
/// shown.
///
/// # Errors
/// As [`Failure`] says.
pub fn run(target: &Target, patience: Patience) -> Result<Verdict, Failure> {
    let voice = Voice::of(target.protocol);
    let mut demo = Demo { target, voice, output: Output::new() };
    for commands in voice.demo {
        if demo.session(patience, commands)? == Verdict::Refused {
            return Ok(Verdict::Refused);
        }
    }
    Ok(Verdict::Fine)
}

struct Demo<'a> {
    target: &'a Target,
    voice: &'static Voice,
    output: Output,
}

impl Demo<'_> {
    fn session(&mut self, patience: Patience, commands: &[&str]) -> Result<Verdict, Failure> {
        self.output.say(&self.voice.connecting(self.target))?;
        self.output.flush()?;
        let mut link = Link::new(self.target, connect(self.target, patience)?, patience.timeout);
        self.output.say(&self.voice.connected(self.target))?;
        if let Some(mut banner) = self.target.protocol.banner() {
            let answer = link.answer(&mut banner)?;
            if !answer.is_error
                && let Some(complaint) = self.target.protocol.foreign_banner(answer.text)
            {
                return Err(Failure::broken(self.target, &complaint));
            }
            if self.show(answer)? == Verdict::Refused {
                return Ok(Verdict::Refused);
            }
        }
        for command in commands {
            if self.ask(&mut link, command)? == Verdict::Refused {
                return Ok(Verdict::Refused);
            }
        }
        self.output.say(self.voice.closing)?;
        self.output.flush()?;
        Ok(Verdict::Fine)
    }

    fn ask(&mut self, link: &mut Link<'_>, command: &str) -> Result<Verdict, Failure> {
        self.output.say(&format!("{}{command}\n", self.voice.prompt))?;
        let mut request = Vec::new();
        let asked = self
            .target
            .protocol
            .encode(command.as_bytes(), &mut request)
            .map_err(Failure::Usage)?;
        link.send(&request)?;
        match asked {
            Request::Answered(mut due) | Request::Farewell(Some(mut due)) => {
                self.show(link.answer(&mut due)?)
            }
            Request::Silent => Ok(Verdict::Fine),
            Request::Farewell(None) => self.output.say(self.voice.left).map(|()| Verdict::Fine),
        }
    }

    fn show(&mut self, answer: Answer<'_>) -> Result<Verdict, Failure> {
        self.output.say(&format!("{}{}\n", self.voice.answer, printable(answer.text)))?;
        self.output.flush()?;
        Ok(if answer.is_error { Verdict::Refused } else { Verdict::Fine })
    }
}

//! The sessions that the original clients show, with a real server.

use tinytcp_cli::target::Target;

use super::connect::ConnectOptions;
use super::dialogue::{self, Request, ServerAnswer, Wording};
use super::error::{ClientError, Completion};
use super::greeting::connect_greeted;
use super::stdout::{StdoutWriter, printable};
use super::stepwise::StepwiseConnection;

/// Prints the demo of the target's protocol, one connection for each of its sessions.
///
/// No server should refuse a request of the demo, so it ends after the first answer with an error.
///
/// # Errors
/// See [`ClientError`].
pub fn run(target: &Target, options: ConnectOptions<'_>) -> Result<Completion, ClientError> {
    let wording = Wording::of(target.protocol);
    let mut demo = Demo { target, wording, output: StdoutWriter::new() };
    for commands in wording.demo {
        if demo.session(options, commands)? == Completion::Refused {
            return Ok(Completion::Refused);
        }
    }
    Ok(Completion::Success)
}

struct Demo<'a> {
    target: &'a Target,
    wording: &'static Wording,
    output: StdoutWriter,
}

impl Demo<'_> {
    fn session(
        &mut self,
        options: ConnectOptions<'_>,
        commands: &[&str],
    ) -> Result<Completion, ClientError> {
        self.output.write(&self.wording.connecting(self.target))?;
        self.output.flush()?;
        let mut connection = StepwiseConnection::new(
            self.target,
            connect_greeted(self.target, options)?,
            options.timeout,
        );
        self.output.write(&self.wording.connected(self.target))?;
        if let Some(mut banner) = dialogue::banner(self.target.protocol) {
            let answer = connection.answer(&mut banner)?;
            if !answer.is_error
                && let Some(complaint) = dialogue::foreign_banner(self.target.protocol, answer.text)
            {
                return Err(ClientError::broken(self.target, &complaint));
            }
            if self.show(answer)? == Completion::Refused {
                return Ok(Completion::Refused);
            }
        }
        for command in commands {
            if self.ask(&mut connection, command)? == Completion::Refused {
                return Ok(Completion::Refused);
            }
        }
        self.output.write(self.wording.closing)?;
        self.output.flush()?;
        Ok(Completion::Success)
    }

    fn ask(
        &mut self,
        connection: &mut StepwiseConnection<'_>,
        command: &str,
    ) -> Result<Completion, ClientError> {
        self.output.write(&format!("{}{command}\n", self.wording.prompt))?;
        let mut bytes = Vec::new();
        let request = dialogue::encode(self.target.protocol, command.as_bytes(), &mut bytes)?;
        connection.send(&bytes)?;
        match request {
            Request::Answered(mut due) | Request::Last(Some(mut due)) => {
                self.show(connection.answer(&mut due)?)
            }
            Request::Unanswered => Ok(Completion::Success),
            Request::Last(None) => {
                self.output.write(self.wording.left).map(|()| Completion::Success)
            }
        }
    }

    fn show(&mut self, answer: ServerAnswer<'_>) -> Result<Completion, ClientError> {
        self.output.write(&format!("{}{}\n", self.wording.answer, printable(answer.text)))?;
        self.output.flush()?;
        Ok(if answer.is_error { Completion::Refused } else { Completion::Success })
    }
}

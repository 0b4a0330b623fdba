//! The words in which shell and demo show a session: those of the original client of each protocol.

use tinytcp_cli::target::{Protocol, Target};

/// How one protocol's client talks to the person in front of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Voice {
    /// Before connecting; `{}` stands for host and port, or the path.
    connecting: &'static str,
    /// After connecting, in a demo; `{}` stands for host and port, or the path.
    connected: &'static str,
    /// After connecting, in a shell: what to type, and how to leave.
    pub greeting: &'static str,
    /// In front of what the person types.
    pub prompt: &'static str,
    /// In front of what the server says.
    pub answer: &'static str,
    /// What is sent when the person leaves by Ctrl-C or Ctrl-D.
    pub leave: &'static str,
    /// After the person has left.
    pub left: &'static str,
    /// Whenever the session ends, last of all.
    pub closing: &'static str,
    /// The words that can be completed.
    pub words: &'static [&'static str],
    /// The sessions of the demo, each on a connection of its own.
    pub demo: &'static [&'static [&'static str]],
}

impl Voice {
    /// How the client of `protocol` talks.
    #[must_use]
    pub const fn of(protocol: Protocol) -> &'static Self {
        match protocol {
            Protocol::Text => &TEXT,
            Protocol::Binary => &BINARY,
            Protocol::Echo => &ECHO,
            Protocol::Chat => &CHAT,
        }
    }

    /// What is said before connecting to `target`; empty, or whole lines.
    #[must_use]
    pub fn connecting(&self, target: &Target) -> String {
        self.connecting.replace("{}", &target.place.to_string())
    }

    /// What is said once connected to `target`; empty, or whole lines.
    #[must_use]
    pub fn connected(&self, target: &Target) -> String {
        self.connected.replace("{}", &target.place.to_string())
    }
}

static TEXT: Voice = Voice {
    connecting: "CONNECT to {}\n",
    connected: "",
    greeting: "Type TIME, ECHO <text> or HELP; QUIT or Ctrl-D leaves.\n",
    prompt: "-> ",
    answer: "<- ",
    leave: "QUIT",
    left: "",
    closing: "",
    words: &["TIME", "ECHO ", "HELP", "QUIT"],
    demo: &[&["TIME", "QUIT"], &["ECHO Hello from client", "QUIT"]],
};

static BINARY: Voice = Voice {
    connecting: "Connecting to server at {}...\n",
    connected: "Successfully connected to the server.\n\
        \n\
        Commands:\n\
        \x20 echo <message>  - Server will send the message back.\n\
        \x20 rev <message>   - Server will reverse the message.\n\
        \x20 quit            - Disconnect from the server.\n\
        --------------------------------------------------\n",
    greeting: "Type echo <message> or rev <message>; quit or Ctrl-D leaves.\n",
    prompt: "Enter command > ",
    answer: "Server Response: ",
    leave: "quit",
    left: "Sent QUIT command to server.\n",
    closing: "Closing connection to the server.\n",
    words: &["echo ", "rev ", "quit"],
    demo: &[&["echo Hello, World!", "rev custom protocols are fun", "quit"]],
};

static ECHO: Voice = Voice {
    connecting: "",
    connected: "Connected to server at {}\nType messages to send to server (type 'quit' to exit):\n",
    greeting: "Type a message; quit or Ctrl-D leaves.\n",
    prompt: "> ",
    answer: "Server: ",
    leave: "quit",
    left: "",
    closing: "Disconnected from server\n",
    words: &["quit"],
    demo: &[&["Hello, server!", "How are you?", "quit"]],
};

static CHAT: Voice = Voice {
    connecting: "",
    connected: "Connected to server at {}\nType messages to send to server (type 'exit' to leave):\n",
    greeting: "Type a message, such as hello, status or time; exit or Ctrl-D leaves.\n",
    prompt: "Message >> ",
    answer: "[Server]: ",
    leave: "exit",
    left: "",
    closing: "Disconnected from server\n",
    words: &["hello", "status", "time", "exit"],
    demo: &[&["hello", "What time is it?", "status", "How are you?", "exit"]],
};

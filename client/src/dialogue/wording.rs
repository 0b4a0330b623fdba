//! The texts of shell and demo: those of the original client of each protocol.

use tinytcp_cli::target::{ProtocolName, Target};

/// The texts that the client of one protocol shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wording {
    /// Before connecting; `{}` stands for host and port, or the path.
    connecting: &'static str,
    /// After connecting, in a demo; `{}` stands for host and port, or the path.
    connected: &'static str,
    /// After connecting, in a shell: the commands, and the way to leave.
    pub greeting: &'static str,
    /// Before each line of input.
    pub prompt: &'static str,
    /// Before each answer.
    pub answer: &'static str,
    /// Before each message of a room.
    pub news: &'static str,
    /// The command that Ctrl-C or Ctrl-D sends.
    pub leave: &'static str,
    /// After a last command without an answer.
    pub left: &'static str,
    /// At the end of every session.
    pub closing: &'static str,
    /// The words that Tab completes.
    pub words: &'static [&'static str],
    /// The sessions of the demo, each on a connection of its own.
    pub demo: &'static [&'static [&'static str]],
}

impl Wording {
    /// The texts of the client of `protocol`.
    #[must_use]
    pub const fn of(protocol: ProtocolName) -> &'static Self {
        match protocol {
            ProtocolName::Text => &TEXT,
            ProtocolName::Binary => &BINARY,
            ProtocolName::Echo => &ECHO,
            ProtocolName::Chat => &CHAT,
        }
    }

    /// The text before connecting to `target`; empty, or whole lines.
    #[must_use]
    pub fn connecting(&self, target: &Target) -> String {
        self.connecting.replace("{}", &target.place.to_string())
    }

    /// The text after connecting to `target`; empty, or whole lines.
    #[must_use]
    pub fn connected(&self, target: &Target) -> String {
        self.connected.replace("{}", &target.place.to_string())
    }
}

static TEXT: Wording = Wording {
    connecting: "CONNECT to {}\n",
    connected: "",
    greeting: "Type TIME, ECHO <text> or HELP; QUIT or Ctrl-D leaves.\n\
        In rooms: JOIN <room>, SAY <text>, NICK <name>, WHO, LEAVE.\n",
    prompt: "-> ",
    answer: "<- ",
    news: "<- ",
    leave: "QUIT",
    left: "",
    closing: "",
    words: &["TIME", "ECHO ", "HELP", "QUIT", "JOIN ", "SAY ", "NICK ", "WHO", "LEAVE"],
    demo: &[&["TIME", "QUIT"], &["ECHO Hello from client", "QUIT"]],
};

static BINARY: Wording = Wording {
    connecting: "Connecting to server at {}...\n",
    connected: "Successfully connected to the server.\n\
        \n\
        Commands:\n\
        \x20 echo <message>  - Server will send the message back.\n\
        \x20 rev <message>   - Server will reverse the message.\n\
        \x20 quit            - Disconnect from the server.\n\
        --------------------------------------------------\n",
    greeting: "Type echo <message> or rev <message>; quit or Ctrl-D leaves.\n\
        In rooms: join <room>, say <text>, nick <name>, who, leave.\n",
    prompt: "Enter command > ",
    answer: "Server Response: ",
    news: "",
    leave: "quit",
    left: "Sent QUIT command to server.\n",
    closing: "Closing connection to the server.\n",
    words: &["echo ", "rev ", "quit", "join ", "say ", "nick ", "who", "leave"],
    demo: &[&["echo Hello, World!", "rev custom protocols are fun", "quit"]],
};

static ECHO: Wording = Wording {
    connecting: "",
    connected: "Connected to server at {}\n\
        Type messages to send to server (type 'quit' to exit):\n",
    greeting: "Type a message; quit or Ctrl-D leaves.\n",
    prompt: "> ",
    answer: "Server: ",
    news: "",
    leave: "quit",
    left: "",
    closing: "Disconnected from server\n",
    words: &["quit"],
    demo: &[&["Hello, server!", "How are you?", "quit"]],
};

static CHAT: Wording = Wording {
    connecting: "",
    connected: "Connected to server at {}\n\
        Type messages to send to server (type 'exit' to leave):\n",
    greeting: "Type a message, such as hello, status or time; exit or Ctrl-D leaves.\n\
        In rooms: /join <room>, /say <text>, /nick <name>, /who, /leave.\n",
    prompt: "Message >> ",
    answer: "[Server]: ",
    news: "",
    leave: "exit",
    left: "",
    closing: "Disconnected from server\n",
    words: &["hello", "status", "time", "exit", "/join ", "/say ", "/nick ", "/who", "/leave"],
    demo: &[&["hello", "What time is it?", "status", "How are you?", "exit"]],
};

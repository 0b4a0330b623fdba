//! Clients that were written for the original systems, unchanged except for the port. Their output
//! must stay the same.

use crate::support::server::Server;
use crate::support::tool::Tool;
use chrono::{DateTime, NaiveTime};
use std::path::Path;

/// Starts a client of `original_clients/` for `protocol`.
fn start(server: &Server, protocol: &str, more: &[&str]) -> Tool {
    let script = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join(format!("tests/original_clients/{protocol}_client.py"));
    let address = server.address(protocol);
    let (host, port) = (address.ip().to_string(), address.port().to_string());
    let script = script.to_str().expect("a path in UTF-8");
    Tool::start("python3", &[&["-u", script, &host, &port], more].concat())
}

/// Returns all that the client has printed at its end.
fn finish(tool: Tool) -> String {
    String::from_utf8(tool.finish()).expect("clients print UTF-8")
}

#[test]
#[ignore = "needs python3: .ci/run installs it"]
fn the_text_client_prints_its_transcript() {
    let server = Server::start(&[]);
    let printed = finish(start(&server, "text", &[]));
    let address = server.address("text");
    let time =
        printed.lines().find_map(|line| line.strip_prefix("<- TIME ")).expect("an answer to TIME");
    DateTime::parse_from_rfc3339(time).expect("ISO 8601");
    let expected = format!(
        "CONNECT to {address}\n\
         <- WELCOME, I'm TinyServer not pressure\n\
         -> TIME\n\
         <- TIME {time}\n\
         -> QUIT\n\
         <- BYE\n\
         CONNECT to {address}\n\
         <- WELCOME, I'm TinyServer not pressure\n\
         -> ECHO Hello from client\n\
         <- ECHO Hello from client\n\
         -> QUIT\n\
         <- BYE\n"
    );
    assert_eq!(printed, expected);
}

#[test]
#[ignore = "needs python3: .ci/run installs it"]
fn the_binary_client_prints_its_transcript() {
    let server = Server::start(&[]);
    let mut client = start(&server, "binary", &[]);
    client.say("echo Hello, World!\nrev custom protocols are fun\ndance\necho \nquit\n");
    let prompt = "Enter command > ";
    assert_eq!(
        finish(client),
        format!(
            "{prompt}Server Response: Hello, World!\n\
             {prompt}Server Response: nuf era slocotorp motsuc\n\
             {prompt}Unknown command.\n\
             {prompt}Server Response: \n\
             {prompt}Sent QUIT command to server.\n\
             Closing connection to the server.\n"
        )
    );
}

#[test]
#[ignore = "needs python3: .ci/run installs it"]
fn the_echo_client_prints_its_transcript() {
    let server = Server::start(&[]);
    let mut client = start(&server, "echo", &[]);
    // A person waits for the answer. Without a newline, text that follows at once would belong to
    // the same message.
    for message in ["Hello, server!", "How are you?", "Ünïcödé"] {
        client.say(format!("{message}\n"));
        client.wait_for(format!("Server: Server received: {message}\n"));
    }
    client.say("quit\n");
    assert!(finish(client).ends_with("Disconnected from server\n"));
}

#[test]
#[ignore = "needs python3: .ci/run installs it"]
fn the_echo_client_passes_its_automatic_run() {
    let server = Server::start(&[]);
    let printed = finish(start(&server, "echo", &["test"]));
    for message in ["Hello, server!", "How are you?", "This is a test message"] {
        let exchange = format!("Sending: {message}\nServer: Server received: {message}\n");
        assert!(printed.contains(&exchange), "{exchange} is not in:\n{printed}");
    }
}

#[test]
#[ignore = "needs python3: .ci/run installs it"]
fn the_chat_client_prints_its_transcript() {
    let server = Server::start(&[]);
    let mut client = start(&server, "chat", &[]);
    client.say("hello\nHow is the status?\nwho are you\nwhat time is it\nexit\n");
    let printed = finish(client);
    let (_, after) = printed.split_once("Server Time: ").expect("an answer to what time it is");
    let (time, _) = after.split_once('\n').expect("a line of its own");
    NaiveTime::parse_from_str(time, "%H:%M:%S").expect("HH:MM:SS");
    let prompt = "Message >> [Server]: ";
    let expected = format!(
        "{prompt}Hello from the server! Connection established.\n\
         {prompt}Server is running smoothly on Rust.\n\
         {prompt}ACK: Received 'who are you'\n\
         {prompt}Server Time: {time}\nMessage >> "
    );
    assert_eq!(printed, expected);
}

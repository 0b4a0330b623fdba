//! The demos: the sessions of the original documents.

use crate::originals;
use crate::runs::run;

#[test]
fn text_shows_the_transcript_of_its_description() {
    let port = originals::text();
    let session = |command: &str, answer: &str| {
        format!(
            "CONNECT to 127.0.0.1:{port}\n<- WELCOME, I'm TinyServer not pressure\n\
             -> {command}\n<- {answer}\n-> QUIT\n<- BYE\n"
        )
    };
    let time = session("TIME", &format!("TIME {}", originals::TIME));
    let echo = session("ECHO Hello from client", "ECHO Hello from client");
    run(&["127.0.0.1", &port.to_string(), "demo"]).ended_with(0).printing(&(time + &echo));
}

#[test]
fn binary_shows_its_commands_and_a_session() {
    let port = originals::binary();
    run(&[&format!("binary://127.0.0.1:{port}"), "demo"]).ended_with(0).printing(&format!(
        "Connecting to server at 127.0.0.1:{port}...
Successfully connected to the server.

Commands:
  echo <message>  - Server will send the message back.
  rev <message>   - Server will reverse the message.
  quit            - Disconnect from the server.
--------------------------------------------------
Enter command > echo Hello, World!
Server Response: Hello, World!
Enter command > rev custom protocols are fun
Server Response: nuf era slocotorp motsuc
Enter command > quit
Sent QUIT command to server.
Closing connection to the server.
"
    ));
}

#[test]
fn echo_shows_the_session_of_its_description() {
    let port = originals::echo();
    run(&[&format!("echo://127.0.0.1:{port}"), "demo"]).ended_with(0).printing(&format!(
        "Connected to server at 127.0.0.1:{port}
Type messages to send to server (type 'quit' to exit):
> Hello, server!
Server: Server received: Hello, server!
> How are you?
Server: Server received: How are you?
> quit
Disconnected from server
"
    ));
}

#[test]
fn chat_shows_each_of_its_answers() {
    let run = run(&[&format!("chat://127.0.0.1:{}", originals::chat()), "demo"]);
    for part in [
        "Message >> hello\n[Server]: Hello from the server! Connection established.\n",
        "Message >> What time is it?\n[Server]: Server Time: 17:24:13\n",
        "Message >> How are you?\n[Server]: ACK: Received 'How are you?\\n'\nMessage >> exit\n",
    ] {
        assert!(run.ended_with(0).text().contains(part), "{run:?}");
    }
}

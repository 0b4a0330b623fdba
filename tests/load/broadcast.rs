//! The mode `broadcast`: with a fake server that breaks one promise of rooms at a time, and with
//! tinytcp-server.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::sync::{Arc, Mutex};

use serde_json::Value;

use crate::runs::{refuses, run};
use crate::support::BANNER;
use crate::support::behaviour::{hold, serve, serve_once_asked};
use crate::support::certificates::Files;
use crate::support::program::Ended;
use crate::support::server::{Server, program};

/// The members of the fake, in the order in which they joined.
type Members = Arc<Mutex<Vec<TcpStream>>>;

/// Returns the lines that the listener `member` receives for the message `n`, whose line is `line`.
type Delivery = fn(n: usize, member: usize, line: &str) -> Vec<String>;

/// Serves text with one room. `delivery` chooses the lines that each listener receives for each
/// message. The answer to a message is `said`, in which `{}` is the correct count and `SELF` the
/// message.
fn fake(delivery: Delivery, said: &'static str) -> String {
    let members = Members::default();
    let port = serve(move |stream| drop(session(stream, &members, delivery, said)));
    format!("text://127.0.0.1:{port}")
}

fn session(
    mut stream: TcpStream,
    members: &Members,
    delivery: Delivery,
    said: &str,
) -> std::io::Result<()> {
    stream.write_all(BANNER)?;
    let mut said_count = 0;
    for line in BufReader::new(stream.try_clone()?).lines() {
        let line = line?;
        let mut all = members.lock().expect("no panic");
        if line.starts_with("JOIN ") {
            all.push(stream.try_clone()?);
            stream.write_all(b"JOINED room\n")?;
            continue;
        }
        let text = line.strip_prefix("SAY ").unwrap_or_default();
        let publisher = stream.peer_addr()?;
        let mut others = 0;
        for member in all.iter_mut() {
            if member.peer_addr()? == publisher {
                continue;
            }
            let news = format!("FROM guest-1 {text}\n");
            member.write_all(delivery(said_count, others, &news).concat().as_bytes())?;
            others += 1;
        }
        said_count += 1;
        let answer = said.replace("{}", &others.to_string()).replace("SELF", text);
        stream.write_all(answer.as_bytes())?;
    }
    Ok(())
}

fn whole(_: usize, _: usize, line: &str) -> Vec<String> {
    vec![line.into()]
}

/// Makes a run of 20 messages to 4 members, one of which publishes, and reads its report.
fn broadcast(url: &str, more: &[&str]) -> (Ended, Value) {
    let members = if more.contains(&"-c") { &[][..] } else { &["-c", "4"] };
    let arguments = ["broadcast", url, "-R", "100", "-d", "200ms", "-q", "--json", "-"];
    let ended = run(&[&arguments[..], members, more].concat());
    let report = serde_json::from_str(ended.text()).expect("a report");
    (ended, report)
}

/// Checks that the run finds `count` violations of this kind and no others.
#[track_caller]
fn finds(url: &str, kind: &str, count: u64) {
    let (ended, report) = broadcast(url, &[]);
    assert_eq!((ended.code, &report["verdict"]), (Some(4), &"violated".into()), "{report}");
    for (name, number) in report["violations"].as_object().expect("an object") {
        let expected = if name == kind { count } else { 0 };
        if name != "examples" {
            assert_eq!(*number, Value::from(expected), "{name}: {report}");
        }
    }
    assert!(report["violations"]["examples"][0].is_string(), "{report}");
}

#[test]
fn a_correct_server_is_valid_and_every_delivery_counted() {
    let (ended, report) = broadcast(&fake(whole, "SAID {}\n"), &[]);
    assert_eq!((ended.code, &report["verdict"]), (Some(0), &"valid".into()), "{report}");
    assert_eq!(report["messages"]["accepted_count"], 20);
    assert_eq!(report["deliveries"]["correct_count"], 60);
    assert_eq!(report["latency"]["count"], 60);
    assert_eq!(report["members"]["joined_count"], 4);
}

#[test]
fn a_lost_message_is_found() {
    // The last message, so that no later one is at another place.
    let delivery: Delivery =
        |n, member, line| if (n, member) == (19, 1) { vec![] } else { vec![line.into()] };
    finds(&fake(delivery, "SAID {}\n"), "lost_count", 1);
}

#[test]
fn a_gap_that_is_told_is_no_violation() {
    let delivery: Delivery = |n, member, line| match (n, member) {
        (7 | 8, 1) => vec![],
        (9, 1) => vec!["MISSED 2\n".into(), line.into()],
        _ => vec![line.into()],
    };
    let (ended, report) = broadcast(&fake(delivery, "SAID {}\n"), &[]);
    assert_eq!((ended.code, &report["verdict"]), (Some(0), &"valid".into()), "{report}");
    assert_eq!(report["deliveries"]["missed_count"], 2);
    assert_eq!(report["deliveries"]["correct_count"], 58);
}

#[test]
fn a_wrong_number_of_missed_messages_is_found() {
    let delivery: Delivery = |n, member, line| match (n, member) {
        (19, 1) => vec![line.into(), "MISSED 1\n".into()],
        _ => vec![line.into()],
    };
    finds(&fake(delivery, "SAID {}\n"), "miscounted_count", 1);
}

#[test]
fn a_message_that_comes_twice_is_found() {
    let delivery: Delivery = |n, member, line| match (n, member) {
        (5, 2) => vec![line.into(), line.into()],
        _ => vec![line.into()],
    };
    finds(&fake(delivery, "SAID {}\n"), "duplicated_count", 1);
}

#[test]
fn messages_in_another_order_are_found() {
    // The second member does not receive message 5, and no MISSED counts it. So all further
    // messages are at another place than for the others.
    let delivery: Delivery =
        |n, member, line| if (n, member) == (5, 1) { vec![] } else { vec![line.into()] };
    let (ended, report) = broadcast(&fake(delivery, "SAID {}\n"), &[]);
    assert_eq!(ended.code, Some(4), "{report}");
    assert_eq!(report["violations"]["lost_count"], 1, "{report}");
    assert_eq!(report["violations"]["reordered_count"], 1, "{report}");
}

#[test]
fn a_changed_message_is_found() {
    let delivery: Delivery = |n, member, line| match (n, member) {
        (5, 2) => vec![line.into(), line.replace(" 5 ", " 5 x")],
        _ => vec![line.into()],
    };
    finds(&fake(delivery, "SAID {}\n"), "damaged_count", 1);
}

#[test]
fn a_message_to_its_own_publisher_is_found() {
    finds(&fake(whole, "FROM me SELF\nSAID {}\n"), "own_count", 20);
}

#[test]
fn a_wrong_count_of_members_is_found() {
    finds(&fake(whole, "SAID 4\n"), "miscounted_count", 20);
}

#[test]
fn refused_messages_are_counted_by_their_reason() {
    let url = fake(|_, _, _| vec![], "ERROR TOO_FAST\n");
    let (ended, report) = broadcast(&url, &[]);
    assert_eq!(ended.code, Some(1), "{report}");
    assert_eq!(report["messages"]["refused"]["TOO_FAST"], 20, "{report}");
    assert_eq!(report["violations"]["lost_count"], 0, "{report}");
}

#[test]
fn members_that_the_server_disconnects_are_reported() {
    let delivery: Delivery = |n, member, line| match (n, member) {
        (5, 2) => vec!["ERROR WRITE_TIMEOUT\n".into()],
        _ => vec![line.into()],
    };
    let (ended, report) = broadcast(&fake(delivery, "SAID {}\n"), &[]);
    assert_eq!((ended.code, &report["verdict"]), (Some(4), &"members-lost".into()), "{report}");
    assert_eq!(report["members"]["lost_count"], 1, "{report}");
    let reason = report["members"]["first_loss"].as_str().expect("a reason");
    assert!(reason.contains("ERROR WRITE_TIMEOUT"), "{reason}");
}

#[test]
fn a_server_without_rooms_is_reported() {
    let refusing = serve(|mut stream| {
        let _ = stream.write_all(&[BANNER, b"ERROR UNKNOWN_COMMAND\n"].concat());
        hold(stream);
    });
    let (ended, report) = broadcast(&format!("text://127.0.0.1:{refusing}"), &[]);
    assert_eq!((ended.code, &report["verdict"]), (Some(1), &"not-joined".into()), "{report}");
    let reason = report["members"]["first_loss"].as_str().expect("a reason");
    assert!(reason.contains("UNKNOWN_COMMAND"), "{reason}");
}

#[test]
fn gates_and_live_rows_work_as_in_other_modes() {
    let url = fake(whole, "SAID {}\n");
    let (ended, report) = broadcast(&url, &["--fail-if", "max<1us,errors>0"]);
    assert_eq!(ended.code, Some(0), "{report}");
    assert_eq!(report["gates"][1]["crossed"], false, "{report}");
    let url = fake(whole, "SAID {}\n");
    let ended = run(&[
        "broadcast",
        &url,
        "-c",
        "4",
        "-R",
        "100",
        "-d",
        "200ms",
        "-q",
        "--live",
        "-",
        "--fail-if",
        "max>1us",
    ]);
    assert_eq!(ended.code, Some(3), "{ended:?}");
    let rows = ended.text().lines().map(|row| serde_json::from_str::<Value>(row).expect("a row"));
    assert_eq!(rows.map(|row| row["correct_count"].as_u64().expect("a count")).sum::<u64>(), 60);
}

#[test]
fn our_server_keeps_its_promises_in_each_protocol() {
    let server = Server::start(&[]);
    for protocol in ["text", "binary", "chat"] {
        let (ended, report) = broadcast(
            &format!("{protocol}://{}", server.address(protocol)),
            &["-c", "40", "--rooms", "2", "--publishers", "2", "--members-silent", "5%"],
        );
        assert_eq!((ended.code, &report["verdict"]), (Some(0), &"valid".into()), "{report}");
        // A room has 20 members. One of them never reads, and one publishes the message.
        assert_eq!(report["messages"]["accepted_count"], 20, "{report}");
        assert_eq!(report["deliveries"]["correct_count"], 20 * 18, "{report}");
    }
}

#[test]
fn our_server_keeps_its_promises_over_tls() {
    let files = Files::new("load-broadcast");
    let protocols = ["text", "binary", "chat"];
    let mut command = program();
    command.args(files.flags());
    for protocol in protocols {
        command.args(["--listen", &format!("{protocol}+tls://127.0.0.1:0")]);
    }
    let server = Server::launch_listening(command, protocols.len());
    for protocol in protocols {
        let url = format!("{protocol}+tls://{}", server.address(protocol));
        let crowd = ["-c", "20", "--publishers", "2", "--members-silent", "1"];
        let trust = ["--tls-ca", &files.argument("ca.pem")];
        let (ended, report) = broadcast(&url, &[&crowd[..], &trust].concat());
        assert_eq!((ended.code, &report["verdict"]), (Some(0), &"valid".into()), "{report}");
        assert_eq!(report["deliveries"]["correct_count"], 20 * 18, "{report}");
    }
}

#[test]
fn a_member_whose_tls_fails_has_the_reason_in_the_report() {
    let server = Server::start(&[]);
    let url = format!("text+tls://{}", server.address("text"));
    let (ended, report) = broadcast(&url, &["--tls-insecure"]);
    assert_eq!((ended.code, &report["verdict"]), (Some(1), &"not-joined".into()), "{report}");
    assert!(report.to_string().contains("bytes that are not TLS; leave out +tls"), "{report}");
}

#[test]
fn a_plain_member_learns_that_the_server_requires_tls() {
    let refusing = serve_once_asked(b"ERROR TLS_REQUIRED\n");
    let alerting = serve_once_asked(b"\x15\x03\x03\x00\x02\x02\x46");
    for (protocol, port) in [("text", refusing), ("chat", refusing), ("text", alerting)] {
        let (ended, report) = broadcast(&format!("{protocol}://127.0.0.1:{port}"), &[]);
        assert_eq!((ended.code, &report["verdict"]), (Some(1), &"not-joined".into()), "{report}");
        let remedy = format!("the server demands TLS: write {protocol}+tls://127.0.0.1:{port}");
        assert!(report["members"]["first_loss"].to_string().contains(&remedy), "{report}");
    }
}

#[test]
fn a_wrong_command_line_is_refused_in_one_line() {
    refuses(&["broadcast", "echo://127.0.0.1"], 2, "echo has no rooms");
    refuses(&["broadcast", "-c", "2", "--rooms", "2"], 2, "a member that reads");
    refuses(&["broadcast", "-P", "2"], 2, "--pipeline has no effect with broadcast");
    let plain = ["broadcast", "text://127.0.0.1", "--tls-insecure"];
    refuses(&plain, 2, "is for encrypted connections");
    let resumed = ["broadcast", "text+tls://127.0.0.1", "--tls-resume", "on"];
    refuses(&resumed, 2, "--tls-resume has no effect with broadcast");
    refuses(&["--rooms", "2"], 2, "--rooms has no effect without broadcast");
    refuses(&["broadcast", "-R", "1:2"], 2, "one rate");
    refuses(&["broadcast", "--size", "8"], 2, "--size is at least");
}

//! Certificates that change during a run.

use std::io::{Read, Write};

use crate::runs::{Running, generator};
use crate::support::BANNER;
use crate::support::certificates::{Files, Validity};
use crate::support::process::Process;
use crate::support::server::{Server, program_under};
use crate::support::tls_client::{Client, der, shown};
use crate::support::wait::wait_until;

/// A server with an encrypted listener for text, and a plain one for binary.
fn start(files: &Files) -> Server {
    // Without a terminal, SIGHUP reloads.
    let mut command = program_under(&["setsid"]);
    command.args(["--listen", "text+tls://127.0.0.1:0", "--listen", "binary://127.0.0.1:0"]);
    command.args(files.flags()).args(["--activity-log", "off"]);
    Server::launch_listening(command, 2)
}

#[test]
fn reloads_during_a_run_fail_no_handshake_and_no_request() {
    let files = Files::new("load-reload");
    let server = start(&files);
    let client = Client::new(&files.authority.certificate(), None);
    let show = || shown(&client.connect(&server, "text").expect("a handshake"));
    let mut old = client.connect(&server, "text").expect("a handshake");
    let url = format!("text+tls://{}", server.address("text"));
    let ca = files.argument("ca.pem");
    let arguments = [&url, "-c", "4", "-d", "10m", "--lifetime", "5", "--tls-ca", &ca];
    let running = Running::start(generator(&arguments));
    let go_on = || {
        let handshakes = server.count("tls_handshakes_full_total");
        let enough = handshakes + 20;
        wait_until("handshakes go on", || server.count("tls_handshakes_full_total") >= enough);
    };
    let identity = |name| files.authority.server(&["localhost", "127.0.0.1", name], Validity::Now);
    let hang_up = || server.process().signal("HUP");
    let failures = || server.count("tls_reload_failures_total");

    go_on();
    for name in ["first.example", "second.example", "third.example"] {
        let good = identity(name);
        files.write_identity("", &good);
        hang_up();
        server.wait_for_log(&["reloaded: certificate of", name]);
        assert_eq!(show(), der(&good), "{name}");
        go_on();
        // A certificate without its key changes nothing.
        let before = failures();
        files.write("cert.pem", &identity("bad.example").certificate);
        hang_up();
        wait_until("the reload fails", || failures() > before);
        assert_eq!(show(), der(&good), "{name}");
        go_on();
    }

    // The second reload comes while the first one may be under way.
    let [earlier, later] = ["earlier.example", "later.example"].map(identity);
    files.write_identity("", &earlier);
    hang_up();
    files.write_identity("", &later);
    hang_up();
    wait_until("the later certificate is shown", || show() == der(&later));
    // Reloads run in order, so both are over when a third one has failed.
    let before = failures();
    files.write("cert.pem", &earlier.certificate);
    hang_up();
    wait_until("the reload fails", || failures() > before);
    assert_eq!(show(), der(&later));
    go_on();

    old.get_mut().write_all(b"ECHO still here\nQUIT\n").expect("send");
    let mut answers = Vec::new();
    old.read_to_end(&mut answers).expect("answers");
    assert_eq!(answers, [BANNER, b"ECHO still here\nBYE\n"].concat());

    Process { id: running.child.id() }.signal("INT");
    let run = running.finish();
    run.exits_with(130).all_zero("errors", &[]).all_zero("connections.failed", &[]);
    assert!(run.count("tls.full") >= 100, "{run:?}");
}

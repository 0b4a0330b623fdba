//! The system calls that the pages show. `docs/guide/record` writes them into the pages, the test
//! compares the pages with what the programs do now.

use std::fs;

use crate::pages::{page, page_path};
use crate::program::{Program, greet, settle};
use crate::scenarios::{self as client, REPAIRED, TRAPPED};
use crate::tracer::{Part, excerpt, outline, trace};

/// The block of system calls that a page shows after the line `<!-- calls: NAME -->`.
struct Recording {
    step: usize,
    name: &'static str,
    /// The program and its arguments after the address.
    program: &'static [&'static str],
    client: fn(&mut Program),
    parts: &'static [Part],
}

const fn part(before: usize, from: &'static [&'static str], to: &'static [&'static str]) -> Part {
    Part { before, from, to }
}

const RECORDINGS: &[Recording] = &[
    Recording {
        step: 1,
        name: "one read",
        program: &["1-reading-trap"],
        client: |program| {
            let mut peer = program.connect();
            peer.send("the first chunk, and the rest\n");
            peer.expect("the first chunk,");
            peer.send("!");
            peer.expect(" and the rest\n!");
        },
        parts: &[part(0, &["listen("], &["sendto(5, \" and"])],
    },
    Recording {
        step: 1,
        name: "reading until the socket is empty",
        program: &["1-reading"],
        client: |program| {
            let mut peer = program.connect();
            peer.send("the first chunk, and the rest\n");
            peer.expect("the first chunk, and the rest\n");
            settle(&mut program.connect());
        },
        parts: &[part(0, &["epoll_wait", "token 0"], &["recvfrom(5", "EAGAIN"])],
    },
    Recording {
        step: 2,
        name: "an error for an answer",
        program: &["1-reading"],
        client: |program| {
            assert!(!client::send_all_then_read(program));
        },
        parts: &[part(3, &["sendto", "EAGAIN"], &["close(5"])],
    },
    Recording {
        step: 2,
        name: "an answer in parts",
        program: &["2-writing"],
        client: |program| assert!(client::send_all_then_read(program)),
        parts: &[
            part(0, &["epoll_ctl", "token 0"], &[]),
            part(3, &["sendto", "EAGAIN"], &["more times"]),
            part(0, &["epoll_wait", "EPOLLOUT, token 0"], &["sendto(5"]),
        ],
    },
    Recording {
        step: 2,
        name: "a registration for each answer",
        program: &["2-registering-trap"],
        client: ask_twice,
        parts: &[part(
            0,
            &["epoll_wait", "{EPOLLIN, token 1}"],
            &["EPOLL_CTL_MOD, 6, {EPOLLIN|EPOLLRDHUP"],
        )],
    },
    Recording {
        step: 2,
        name: "no registration for an answer",
        program: &["2-writing"],
        client: ask_twice,
        parts: &[part(
            0,
            &["epoll_wait", "{EPOLLIN|EPOLLOUT, token 1}"],
            &["recvfrom(6", "EAGAIN"],
        )],
    },
    Recording {
        step: 3,
        name: "reading goes on",
        program: &["2-writing"],
        client: |program| assert_eq!(client::send_without_reading(program, false), None),
        parts: &[part(3, &["sendto", "EAGAIN"], &["more times"])],
    },
    Recording {
        step: 3,
        name: "reading stops",
        program: &["3-backpressure"],
        client: |program| assert!(client::send_without_reading(program, true).is_some()),
        parts: &[
            part(3, &["sendto", "EAGAIN"], &["epoll_wait"]),
            part(0, &["epoll_wait", "EPOLLOUT"], &["recvfrom"]),
        ],
    },
    Recording {
        step: 4,
        name: "one turn for all",
        program: &["4-fairness-trap"],
        client: |program| assert!(!client::flood_beside_a_short_request(program).is_empty()),
        parts: &[part(0, &["epoll_wait", "token 0", "token 1"], &["sendto(6"])],
    },
    Recording {
        step: 4,
        name: "turns",
        program: &["4-fairness"],
        client: |program| assert!(!client::flood_beside_a_short_request(program).is_empty()),
        parts: &[
            part(0, &["epoll_wait", "token 0", "token 1"], &["epoll_wait", "0) = 0"]),
            part(0, &["recvfrom(5"], &["more times"]),
        ],
    },
    Recording {
        step: 5,
        name: "an end of input that is missed",
        program: &["5-closing-trap"],
        client: |program| assert!(!client::send_a_request_with_the_end(program, TRAPPED)),
        parts: &[part(0, &["epoll_wait", "EPOLLRDHUP"], &["epoll_wait", "token 0"])],
    },
    Recording {
        step: 5,
        name: "an end of input that is seen",
        program: &["5-closing"],
        client: |program| assert!(client::send_a_request_with_the_end(program, REPAIRED)),
        parts: &[part(0, &["epoll_wait", "EPOLLRDHUP"], &["close(6"])],
    },
    Recording {
        step: 5,
        name: "a close at once",
        program: &["5-closing-trap"],
        client: |program| {
            assert!(client::quit_with_requests_under_way(program, true) < 40_000);
        },
        parts: &[part(2, &["close(5"], &[])],
    },
    Recording {
        step: 5,
        name: "a lingering close",
        program: &["5-closing"],
        client: |program| {
            assert!(client::quit_with_requests_under_way(program, false) > 40_000);
        },
        parts: &[
            part(2, &["shutdown"], &["recvfrom"]),
            part(0, &["recvfrom(5, \"\""], &["close(5"]),
        ],
    },
    Recording {
        step: 6,
        name: "no second event",
        program: &["6-accepting-trap"],
        client: |program| assert!(!client::wait_for_a_descriptor(program, TRAPPED)),
        parts: &[part(0, &["accept4", "EMFILE"], &[]), part(0, &["close(5"], &["epoll_ctl"])],
    },
    Recording {
        step: 6,
        name: "another try",
        program: &["6-accepting"],
        client: |program| assert!(client::wait_for_a_descriptor(program, REPAIRED)),
        parts: &[
            part(0, &["accept4", "EMFILE"], &["epoll_wait"]),
            part(0, &["close(5"], &[]),
            part(0, &["accept4(3) = 5"], &["epoll_ctl"]),
            part(0, &["recvfrom(5"], &["sendto"]),
        ],
    },
    Recording {
        step: 7,
        name: "a key that is used again",
        program: &["7-tokens-trap"],
        client: |program| assert!(!client::take_the_place_of_a_client_that_leaves(program)),
        parts: &[
            part(0, &["epoll_wait", "LISTENER", "token 0"], &["sendto(5"]),
            part(0, &["close(5"], &[]),
        ],
    },
    Recording {
        step: 7,
        name: "a token that is not",
        program: &["7-tokens"],
        client: |program| assert!(client::take_the_place_of_a_client_that_leaves(program)),
        parts: &[part(0, &["epoll_wait", "LISTENER", "token 1:0"], &["sendto(5"])],
    },
    Recording {
        step: 8,
        name: "a wait without an end",
        program: &["8-stopping-trap", "300"],
        client: |program| assert!(!client::stay_silent(program, 3 * TRAPPED)),
        parts: &[
            part(0, &["epoll_ctl", "token"], &["epoll_ctl", "token 2"]),
            part(0, &["close(7"], &[]),
        ],
    },
    Recording {
        step: 8,
        name: "a wait until the deadline",
        program: &["8-stopping", "300"],
        client: |program| assert!(client::stay_silent(program, REPAIRED)),
        parts: &[part(0, &["epoll_ctl", "token"], &["close(7"])],
    },
    Recording {
        step: 8,
        name: "an exit",
        program: &["8-stopping-trap"],
        client: |program| assert_eq!(client::ask_and_stop(program).0, ""),
        parts: &[part(0, &["epoll_wait", "SIGNALS"], &["close(7"])],
    },
    Recording {
        step: 8,
        name: "a stop",
        program: &["8-stopping"],
        client: |program| assert_eq!(client::ask_and_stop(program).0, "last\n"),
        parts: &[part(0, &["epoll_wait", "SIGNALS"], &["close(7"])],
    },
];

/// A client asks twice, and the program has waited for events in between.
fn ask_twice(program: &mut Program) {
    let mut bystander = program.connect_and_greet();
    let mut peer = program.connect_and_greet();
    settle(&mut bystander);
    greet(&mut peer);
    settle(&mut bystander);
}

#[test]
#[ignore = "needs strace: .ci/run installs it"]
fn the_pages_show_the_system_calls_that_the_programs_make() {
    let records = std::env::var_os("GUIDE_RECORD").is_some();
    for Recording { step, name, program, client, parts } in RECORDINGS {
        let calls = excerpt(&trace(program[0], &program[1..], client), parts);
        let text = page(*step);
        let mark = format!("<!-- calls: {name} -->\n```text\n");
        let start = text.find(&mark).map(|at| at + mark.len());
        let start = start.unwrap_or_else(|| panic!("page {step} does not show {name:?}:\n{calls}"));
        let len = text[start..].find("\n```").expect("the end of a block");
        let shown = &text[start..start + len];
        if outline(shown) == outline(&calls) {
            continue;
        }
        assert!(
            records,
            "step {step}, {name}: the page shows\n{shown}\nand the calls are\n{calls}"
        );
        let text = [&text[..start], &calls, &text[start + len..]].concat();
        fs::write(page_path(*step), text).expect("write the page");
    }
}

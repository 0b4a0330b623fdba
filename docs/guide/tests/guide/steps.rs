//! Each trap is shown with the same client that then shows the repair.

use crate::program::Program;
use crate::scenarios::{self as client, REPAIRED, TRAPPED};

const MIB: usize = 1 << 20;

#[test]
fn step_0_a_silent_client_keeps_the_next_one_waiting() {
    assert!(!client::ask_beside_a_silent_client(&Program::start("0-blocking"), TRAPPED));
    assert!(client::ask_beside_a_silent_client(&Program::start("1-reading"), REPAIRED));
}

#[test]
fn step_1_what_one_read_leaves_waits_for_the_next_byte() {
    let trap = Program::start("1-reading-trap");
    client::send_two_chunks(&trap, "the first chunk,", " and the rest\n!");
    let repaired = Program::start("1-reading");
    client::send_two_chunks(&repaired, "the first chunk, and the rest\n", "!");
}

#[test]
fn step_2_a_full_kernel_buffer_ends_the_connection() {
    assert!(!client::send_all_then_read(&Program::start("1-reading")));
    assert!(client::send_all_then_read(&Program::start("2-writing")));
}

#[test]
fn step_2_a_registration_for_each_answer_doubles_the_turns() {
    let turns = client::ask_small_requests(&Program::start("2-registering-trap"));
    assert!(turns >= 2 * client::SMALL_REQUESTS, "{turns} turns");
    // One turn for each request, and two more: after the registration, and at the end.
    let turns = client::ask_small_requests(&Program::start("2-writing"));
    assert!(turns < 3 * client::SMALL_REQUESTS / 2, "{turns} turns");
}

#[test]
fn step_3_a_client_that_never_reads_fills_the_memory() {
    let program = Program::start("2-writing");
    assert_eq!(client::send_without_reading(&program, false), None);
    assert!(program.process().resident_bytes_most() > 32 * MIB);
    let program = Program::start("3-backpressure");
    assert!(client::send_without_reading(&program, true).is_some());
    assert!(program.process().resident_bytes_most() < 32 * MIB);
}

#[test]
fn step_4_a_short_request_waits_for_a_whole_flood() {
    let turns = client::flood_beside_a_short_request(&Program::start("4-fairness-trap"));
    assert!(matches!(turns[..], [(0, 32_000..,), ..]), "{turns:?}");
    let turns = client::flood_beside_a_short_request(&Program::start("4-fairness"));
    assert!(matches!(turns[..], [(0, 1..=16_384), (1, 6), ..]), "{turns:?}");
}

#[test]
fn step_4_a_log_that_nothing_reads_ends_the_server() {
    let is_answered = |name| client::ask_after_the_log_is_closed(&Program::start_unread(name));
    // The trap may have luck: a program that another test starts holds the log until its `exec`.
    assert!((0..5).any(|_| !is_answered("4-fairness-trap")));
    assert!(is_answered("4-fairness"));
}

#[test]
fn step_5_a_search_from_the_start_of_a_line_is_quadratic() {
    let examined = client::send_a_line_byte_by_byte(&Program::start("5-closing-trap"));
    assert!(examined > 100 * client::LINE_BYTES, "{examined} bytes");
    let examined = client::send_a_line_byte_by_byte(&Program::start("5-closing"));
    assert_eq!(examined, client::LINE_BYTES);
}

#[test]
fn step_5_an_end_of_input_with_the_last_bytes_is_missed() {
    let is_closed =
        |name, patience| client::send_a_request_with_the_end(&Program::start(name), patience);
    // The trap may have luck: a machine that pauses sends the end in a segment of its own.
    assert!((0..5).any(|_| !is_closed("5-closing-trap", TRAPPED)));
    assert!(is_closed("5-closing", REPAIRED));
}

#[test]
fn step_5_a_close_with_unread_input_destroys_answers() {
    let all = 40_000 + "BYE\n".len();
    assert!(
        client::quit_with_requests_under_way(&Program::start("5-closing-trap"), true) < all / 2
    );
    assert_eq!(client::quit_with_requests_under_way(&Program::start("5-closing"), false), all);
}

#[test]
fn step_6_no_event_says_that_descriptors_are_free_again() {
    assert!(!client::wait_for_a_descriptor(&Program::start("6-accepting-trap"), TRAPPED));
    assert!(client::wait_for_a_descriptor(&Program::start("6-accepting"), REPAIRED));
    client::wait_for_a_higher_limit(&Program::start("6-accepting"));
}

#[test]
fn step_6_a_connection_that_was_reset_has_no_peer_address() {
    assert!(!client::reset_before_accept(&Program::start("6-accepting-trap")));
    assert!(client::reset_before_accept(&Program::start("6-accepting")));
}

#[test]
fn step_6_a_queue_of_128_places_has_no_place_for_200_clients() {
    assert!(!client::fill_the_queue(&Program::start("6-accepting-trap"), TRAPPED));
    let has_places = client::longest_queue() >= client::QUEUED_CLIENTS;
    let patience = if has_places { REPAIRED } else { TRAPPED };
    assert_eq!(client::fill_the_queue(&Program::start("6-accepting"), patience), has_places);
}

#[test]
fn step_7_an_event_of_a_closed_connection_ends_the_next_one() {
    let is_served = |name| client::take_the_place_of_a_client_that_leaves(&Program::start(name));
    // The trap may have luck: a busy kernel may report the end before the new connection.
    assert!((0..5).any(|_| !is_served("7-tokens-trap")));
    assert!(is_served("7-tokens"));
}

#[test]
fn step_8_a_deadline_that_wakes_nothing_passes_unseen() {
    let is_closed =
        |name, patience| client::stay_silent(&Program::start_with(name, &["300"]), patience);
    // The trap may have luck: a machine that stalls it for 300 ms lets it see the deadline.
    assert!((0..5).any(|_| !is_closed("8-stopping-trap", 3 * TRAPPED)));
    assert!(is_closed("8-stopping", REPAIRED));
}

#[test]
fn step_8_a_stop_loses_requests_that_have_arrived() {
    let (answer, code) = client::ask_and_stop(&mut Program::start("8-stopping-trap"));
    assert_eq!((&*answer, code), ("", Some(0)));
    let (answer, code) = client::ask_and_stop(&mut Program::start("8-stopping"));
    assert_eq!((&*answer, code), ("last\n", Some(0)));
}

//! The log of requests.

use std::collections::BTreeSet;

use crate::runs::{Scratch, measure, refuses};
use crate::servers::{Answer, right, text, text_but};

/// Returns the cells of the rows after the header.
fn rows(file: &Scratch) -> Vec<Vec<String>> {
    let text = file.text().expect("it was written");
    let header = "end_s,connection_number,request_number,result,from_send_us,from_schedule_us\n";
    let rows = text.strip_prefix(header).expect(&text);
    rows.lines().map(|row| row.split(',').map(str::to_owned).collect()).collect()
}

#[test]
fn each_request_of_the_load_has_one_row() {
    let log = Scratch::new("csv");
    let url = text_but(30, |_| Answer::Bytes(b"ERROR OOPS\n".to_vec()));
    let shape = ["-c", "3", "--threads", "2", "-n", "100", "--log-requests", log.path()];
    measure(&[&[&url[..]], &shape[..]].concat()).only_error("wrong", 1);
    let rows = rows(&log);
    let numbers: BTreeSet<u64> = rows.iter().map(|row| row[2].parse().expect("a count")).collect();
    assert_eq!((rows.len(), numbers), (100, (0..100).collect()));
    assert_eq!(rows.iter().filter(|row| row[3] == "wrong").count(), 1);
    assert_eq!(rows.iter().filter(|row| row[3] == "correct").count(), 99);
    for row in rows {
        assert!(["0", "1", "2"].contains(&row[1].as_str()), "{row:?}");
        assert!(row[4].parse::<f64>().is_ok_and(|latency| latency > 0.0), "{row:?}");
        assert_eq!((row.len(), row[5].as_str()), (6, ""), "a closed loop has no schedule");
    }
}

#[test]
fn a_schedule_adds_the_latency_from_it() {
    let log = Scratch::new("csv");
    let run = measure(&[
        &text(right),
        "-c",
        "2",
        "-R",
        "200",
        "-d",
        "300ms",
        "--log-requests",
        log.path(),
    ]);
    let rows = rows(&log);
    let correct = rows.iter().filter(|row| row[3] == "correct").count();
    assert_eq!(correct as u64, run.count("replies.correct"));
    for row in rows {
        let [send, schedule] = [4, 5].map(|cell| row[cell].parse::<f64>().expect("a latency"));
        assert!(send <= schedule, "{row:?}");
    }
}

#[test]
fn a_full_log_has_the_first_requests_and_is_noted() {
    let log = Scratch::new("csv");
    let bound = ["--log-requests", log.path(), "--log-requests-max", "7"];
    let run = measure(&[&[&text(right)[..], "-c", "2", "-n", "40"], &bound[..]].concat());
    assert_eq!(rows(&log).len(), 7);
    let note = "The log of requests has 7 of 40: raise --log-requests-max for more.";
    assert_eq!(run["notes"][0], note);
    refuses(&["--log-requests-max", "7"], 2, "--log-requests");
    refuses(&["--log-requests", "-"], 2, "--log-requests needs a file");
    refuses(&["--log-requests", "/no/such/folder/log.csv"], 1, "cannot write /no/such/folder");
}

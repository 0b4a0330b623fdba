//! A request to stop takes effect, even if the byte that announces it is lost.

use crate::support::wait::wait_until;
use crate::tracer::{Fault, Trace};

#[test]
#[ignore = "needs strace: .ci/run installs it"]
fn a_signal_stops_a_server_although_the_byte_for_it_is_lost() {
    for signal in ["TERM", "INT"] {
        let trace = Trace::new();
        let fault = Fault { call: "sendto", error: "ENOBUFS", first: 1, last: 1 };
        let mut server = trace.start(&["sendto", "epoll_wait"], Some(fault), &[]);
        wait_until("the server waits", || {
            trace.text().contains("epoll_wait(") && server.process().state() == 'S'
        });
        server.process().signal(signal);
        assert_eq!(server.wait_for_exit().code(), Some(0));
        assert!(trace.has_hit_the_handler(), "the byte was not lost: {}", trace.text());
    }
}

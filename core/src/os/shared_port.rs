//! Leaving a TCP port that other processes listen on too, without the loss of a connection.
//!
//! The kernel chooses the process of a connection when its first packet (SYN) arrives. It resets
//! the connections that a closing listener has not accepted, and those whose handshake is not
//! complete, although another process listens there. So a process leaves in three steps:
//!
//! ```text
//!   hold back: a packet filter drops each SYN     wait, and accept what completes     close
//!        |----------------- HANDSHAKE_TIME -------------------------------------------|
//! ```
//!
//! A client whose SYN is dropped repeats it after 1 s (RFC 6298), and the kernel then chooses
//! another process. With `net.ipv4.tcp_migrate_req = 1` the kernel itself moves the connections of
//! a closing listener to another one, so that nothing is dropped and no client waits.

use std::time::Duration;

use mio::net::TcpListener;
use socket2::SockRef;

/// How long a handshake may take from its SYN to its last packet: one round trip. Each client that
/// connects in this time waits for 1 s. With half of this value, connections of clients on other
/// continents are lost; with twice this value, twice as many clients wait.
const HANDSHAKE_TIME: Duration = Duration::from_millis(200);

/// True if other processes may listen on the port too.
pub fn is_shared(listener: &TcpListener) -> bool {
    SockRef::from(listener).reuse_port().unwrap_or(false)
}

/// Lets no new handshake begin on a shared port. Returns the time after which those in progress are
/// complete; zero if the kernel moves them to another process, or has no packet filters.
pub fn hold_back(listener: &TcpListener) -> Duration {
    if is_moved_by_kernel() || !drop_syn(listener) { Duration::ZERO } else { HANDSHAKE_TIME }
}

fn is_moved_by_kernel() -> bool {
    std::fs::read_to_string("/proc/sys/net/ipv4/tcp_migrate_req")
        .is_ok_and(|value| value.trim() == "1")
}

/// Drops each packet with SYN and without ACK. Returns false if the kernel refuses.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn drop_syn(listener: &TcpListener) -> bool {
    use socket2::SockFilter;
    // Instructions of classic BPF (linux/filter.h).
    const LOAD_BYTE: u16 = 0x30;
    const AND: u16 = 0x54;
    const JUMP_IF_EQUAL: u16 = 0x15;
    const RETURN: u16 = 0x06;
    // The offset of the flags in a TCP header, and two of them (RFC 9293).
    const FLAGS: u32 = 13;
    const SYN: u32 = 0x02;
    const ACK: u32 = 0x10;
    let program = [
        SockFilter::new(LOAD_BYTE, 0, 0, FLAGS),
        SockFilter::new(AND, 0, 0, SYN | ACK),
        SockFilter::new(JUMP_IF_EQUAL, 0, 1, SYN),
        SockFilter::new(RETURN, 0, 0, 0),
        SockFilter::new(RETURN, 0, 0, u32::MAX),
    ];
    SockRef::from(listener).attach_filter(&program).is_ok()
}

/// Other systems have no packet filters for a socket.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn drop_syn(_: &TcpListener) -> bool {
    false
}

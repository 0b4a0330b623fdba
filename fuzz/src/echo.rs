//! A session of `echo`.

use tinytcp_core::protocol::echo;

use crate::talk;

/// Every message comes back after the prefix, whatever its bytes are.
pub fn check(data: &[u8]) {
    talk::check(&echo::protocol(), data, |limits, bursts| {
        talk::oracle(limits, bursts, |message| Some([b"Server received: ", message].concat()))
    });
}

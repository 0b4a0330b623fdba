//! The program `tinytcp-client`.

use std::process::ExitCode;

fn main() -> ExitCode {
    tinytcp_client::main()
}

//! The program `tinytcp-load`.

use std::process::ExitCode;

fn main() -> ExitCode {
    tinytcp_load::main()
}

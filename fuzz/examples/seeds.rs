//! Writes the seeds of every target to `corpus/`, where `cargo fuzz` reads them: `cargo run
//! --no-default-features --example seeds`.

use std::path::Path;
use std::{fs, io};

use tinytcp_fuzz::seeds;

fn main() -> io::Result<()> {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = fs::read_to_string(package.join("../protocol.md"))?;
    for seed in seeds::of_page(&page) {
        let folder = package.join("corpus").join(seed.target);
        fs::create_dir_all(&folder)?;
        fs::write(folder.join(seed.name), seed.bytes)?;
    }
    Ok(())
}

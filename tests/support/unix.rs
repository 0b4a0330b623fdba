//! A server on a unix socket in a folder.

use super::server::{Server, program};
use super::wait::wait_until;
use socket2::{Domain, SockAddr, Socket, Type};
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// A folder of one test, removed with its files on drop.
pub struct Folder(pub PathBuf);

impl Folder {
    pub fn new(name: &str) -> Self {
        let folder =
            std::env::temp_dir().join(format!("tinytcp-unix-{name}-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("make a folder");
        Self(folder)
    }

    pub fn socket(&self) -> PathBuf {
        self.0.join("s")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Starts a server of `protocol` at `path`, without waiting for its listener.
pub fn launch(protocol: &str, path: &Path, flags: &[&str]) -> Server {
    let mut command = program();
    command.args(["--listen", &url(protocol, path)]).args(flags);
    Server::launch_only(command)
}

pub fn start(protocol: &str, path: &Path, flags: &[&str]) -> Server {
    let server = launch(protocol, path, flags);
    wait_until("the server says where it listens", || !server.printed.raw().is_empty());
    assert_eq!(server.printed.text(), [format!("listening on {}", url(protocol, path))]);
    server
}

pub fn url(protocol: &str, path: &Path) -> String {
    format!("{protocol}+unix://{}", path.display())
}

/// A listener at `path` that never accepts. Its backlog of 0 holds one connection, and is then
/// full.
pub fn listen_for_one(path: &Path) -> Socket {
    let listener = Socket::new(Domain::UNIX, Type::STREAM, None).expect("a socket");
    let addr = SockAddr::unix(path).expect("a short path");
    listener.bind(&addr).and_then(|()| listener.listen(0)).expect("a free path");
    listener
}

/// Removes the permissions of the file. Returns the program and its arguments under which they hold
/// for root too.
pub fn forbid(path: &Path) -> &'static [&'static str] {
    fs::set_permissions(path, fs::Permissions::from_mode(0o0)).expect("our own file");
    let is_root = fs::metadata(path).expect("our own file").uid() == 0;
    if is_root { &["setpriv", "--bounding-set=-dac_override,-dac_read_search"] } else { &["env"] }
}

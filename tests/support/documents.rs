//! The documents of the repository, as text.

use std::fs;
use std::path::{Path, PathBuf};

/// One Markdown file.
pub struct Document {
    /// Its path below the root of the repository, such as `docs/server.md`.
    pub path: PathBuf,
    pub text: String,
}

impl Document {
    /// The document at `path` below the root.
    pub fn read(path: &str) -> Self {
        let text = fs::read_to_string(root().join(path));
        Self { path: path.into(), text: text.unwrap_or_else(|error| panic!("{path}: {error}")) }
    }

    /// The text without its fenced blocks, whose lines become empty.
    pub fn prose(&self) -> String {
        let mut is_fenced = false;
        let line = |line: &str| {
            let is_fence = line.starts_with("```");
            is_fenced ^= is_fence;
            if is_fenced || is_fence { String::new() } else { line.to_owned() }
        };
        self.text.lines().map(line).collect::<Vec<_>>().join("\n")
    }
}

/// The root of the repository.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Returns every Markdown file for readers: those in the root, in `docs/` and in `fuzz/`.
pub fn all() -> Vec<Document> {
    let mut paths = Vec::new();
    collect(root(), false, &mut paths);
    collect(&root().join("docs"), true, &mut paths);
    collect(&root().join("fuzz"), false, &mut paths);
    paths.sort();
    let below_root = |path: &PathBuf| path.strip_prefix(root()).map(Path::to_owned);
    paths
        .iter()
        .map(|path| below_root(path).expect("a file of the repository"))
        .map(|path| Document::read(path.to_str().expect("a name in ASCII")))
        .collect()
}

fn collect(dir: &Path, is_deep: bool, paths: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).expect("a readable folder") {
        let path = entry.expect("a readable folder").path();
        if path.is_dir() && is_deep {
            collect(&path, true, paths);
        } else if path.extension().is_some_and(|extension| extension == "md") {
            paths.push(path);
        }
    }
}

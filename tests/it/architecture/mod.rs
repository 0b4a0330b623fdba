//! The rules of the sources: imports go only to lower floors, and some words and macros are
//! forbidden.
//!
//! Test modules are exempt.

mod columns;
mod cycles;

use std::fs;
use std::path::{Path, PathBuf};

/// Each module of the library and its floor. A module uses its own parts, and modules of lower
/// floors. A member of the workspace other than `core` counts as one module.
const FLOORS: [(&str, usize); 22] = [
    ("limits", 1),
    ("display", 0),
    ("buffers", 0),
    ("wire", 0),
    ("close_reason", 2),
    ("tls", 2),
    ("status", 3),
    ("metrics", 4),
    ("os", 4),
    ("queues", 5),
    ("token_bucket", 5),
    ("logging", 5),
    ("rooms", 6),
    ("cli", 6),
    ("address_limits", 7),
    ("bus", 7),
    ("protocol", 7),
    ("connection", 8),
    ("server", 9),
    ("client", 9),
    ("load", 9),
    ("testing", 10),
];

/// In these modules, which handle the bytes of a peer, no value is unwrapped, not even with
/// `expect`.
const FLOORS_WITHOUT_EXPECT: [&str; 6] = ["wire", "tls", "bus", "protocol", "connection", "rooms"];

/// Words that appear in no source, each with the reason.
const FORBIDDEN_WORDS: [(&str, &str); 6] = [
    ("async", "the loop is written by hand"),
    ("await", "the loop is written by hand"),
    ("tokio", "the loop is written by hand"),
    ("unsafe", "nothing here needs it"),
    ("BuildHasher", "keys that a peer chooses need the standard hasher"),
    ("with_hasher", "keys that a peer chooses need the standard hasher"),
];

/// Macros that end the program on purpose. A check of an invariant is an `assert` or an `expect`
/// that states it.
const FORBIDDEN_MACROS: [&str; 4] = ["panic!", "unreachable!", "todo!", "unimplemented!"];

/// The lints that clippy denies in modules that handle the bytes of a peer.
const LINTS: [&str; 7] = [
    "unwrap_used",
    "expect_used",
    "indexing_slicing",
    "string_slice",
    "panic",
    "unreachable",
    "cast_possible_truncation",
];

/// The modules of the load generator. A module uses itself and the modules before it.
const LOAD_MODULES: [&str; 7] =
    ["measurement", "traffic", "engine", "judgement", "report", "broadcast", "command_line"];

/// The members of the workspace.
const MEMBERS: [&str; 4] = ["core", "cli", "client", "load"];

/// Returns the faults of the source of the file at `path`: `wire/line.rs` in `core`, `load/run.rs`
/// in another member.
fn faults(path: &str, source: &str) -> Vec<String> {
    let code = production_code(source);
    let mut faults: Vec<String> = FORBIDDEN_WORDS
        .iter()
        .filter(|(word, _)| names(&code).any(|name| name == *word))
        .map(|(word, why)| format!("{path}: `{word}`: {why}"))
        .collect();
    let module = path.split(['/', '.']).next().unwrap_or_default();
    let may_expect = !FLOORS_WITHOUT_EXPECT.contains(&module);
    if code.contains(".unwrap()") || (code.contains(".expect(") && !may_expect) {
        faults.push(format!("{path}: unwraps a value"));
    }
    let ends = FORBIDDEN_MACROS.iter().filter(|name| code.contains(*name));
    faults.extend(ends.map(|name| format!("{path}: `{name}` ends the program")));
    if has_hasher(&code) {
        faults.push(format!("{path}: a map with a hasher of its own"));
    }
    let Some(floor) = floor_of(module) else { return faults };
    for target in imports(path, &code) {
        match floor_of(&target) {
            _ if target == module => {}
            Some(below) if below < floor => {}
            Some(_) => {
                faults.push(format!("{path}: `{module}` uses `{target}`, which is not below it"))
            }
            None => {
                faults.push(format!("{path}: `{target}` is on no floor; name modules one by one"))
            }
        }
    }
    faults
}

fn floor_of(module: &str) -> Option<usize> {
    FLOORS.iter().find(|(name, _)| *name == module).map(|(_, floor)| *floor)
}

/// Returns the source without comments, and without the test module at its end.
fn production_code(source: &str) -> String {
    let production = source.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    production
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .flat_map(|line| [line, "\n"])
        .collect()
}

fn names(code: &str) -> impl Iterator<Item = &str> {
    code.split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
}

/// True exactly when a `HashMap` or `HashSet` has one parameter more than its keys and values.
fn has_hasher(code: &str) -> bool {
    [("HashMap<", 2), ("HashSet<", 1)].iter().any(|(start, usual)| {
        code.match_indices(start).any(|(at, _)| {
            let (mut depth, mut parameters) = (1, 1);
            for c in code[at + start.len()..].chars() {
                match c {
                    '<' | '(' | '[' => depth += 1,
                    '>' | ')' | ']' => depth -= 1,
                    ',' if depth == 1 => parameters += 1,
                    _ => {}
                }
                if depth == 0 {
                    break;
                }
            }
            parameters > *usual
        })
    })
}

/// Returns the top-level modules that `code` names by a path from the root, or by one that leads up
/// to it.
fn imports(path: &str, code: &str) -> Vec<String> {
    let own = path.trim_end_matches(".rs").trim_end_matches("/mod").trim_end_matches("/lib");
    let own = own.split('/').collect::<Vec<_>>();
    code.split(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != ':')
        .filter_map(|name| {
            let steps: Vec<&str> = name.split("::").collect();
            let climbs = steps.iter().take_while(|step| **step == "super").count();
            match steps.first() {
                Some(&"crate") if MEMBERS.contains(&own[0]) => Some(own[0].to_owned()),
                Some(&("crate" | "tinytcp_core")) if steps.len() > 1 => Some(steps[1].to_owned()),
                Some(first) if first.starts_with("tinytcp_") => {
                    Some(first.trim_start_matches("tinytcp_").to_owned())
                }
                Some(&"super") if climbs < own.len() => Some(own[0].to_owned()),
                Some(&"super") => Some(steps.get(climbs).copied().unwrap_or_default().to_owned()),
                _ => None,
            }
        })
        .collect()
}

/// Collects the files of the library under `dir`, without those that are test modules.
fn library_files(dir: &Path, files: &mut Vec<PathBuf>) {
    let roots = [dir.join("mod.rs"), dir.join("lib.rs"), dir.with_extension("rs")];
    let root: String = roots.iter().flat_map(fs::read_to_string).collect();
    let is_test = |name: &str| root.contains(&format!("#[cfg(test)]\nmod {name};"));
    for entry in fs::read_dir(dir).expect("a folder of sources") {
        let path = entry.expect("a readable folder").path();
        let name = path.file_stem().and_then(|name| name.to_str()).expect("a name in ASCII");
        if is_test(name) {
            continue;
        }
        if path.is_dir() {
            library_files(&path, files);
        } else {
            files.push(path);
        }
    }
}

/// Returns the folders of sources, each with the prefix of the paths of its files.
fn sources() -> impl Iterator<Item = (&'static str, PathBuf)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let module = |member| if member == "core" { "" } else { member };
    let members = MEMBERS.map(|member| (module(member), root.join(member).join("src")));
    members.into_iter().chain([("programs", root.join("src"))])
}

#[test]
fn imports_go_down_and_what_is_forbidden_is_not_there() {
    let mut found = Vec::new();
    for (module, src) in sources() {
        let mut files = Vec::new();
        library_files(&src, &mut files);
        assert!(!files.is_empty(), "{} has no sources", src.display());
        for file in files {
            let path = Path::new(module).join(file.strip_prefix(&src).expect("found below it"));
            let source = fs::read_to_string(&file).expect("a readable source");
            found.extend(faults(path.to_str().expect("a path in ASCII"), &source));
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn the_modules_of_the_load_generator_import_downwards() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("load/src");
    let height = |module: &str| LOAD_MODULES.iter().position(|name| *name == module);
    for module in LOAD_MODULES {
        let mut files = Vec::new();
        library_files(&src.join(module), &mut files);
        for file in files {
            let path = file.strip_prefix(&src).expect("found below it").to_str().expect("ASCII");
            let code = production_code(&fs::read_to_string(&file).expect("a readable source"));
            let higher =
                imports(path, &code).into_iter().find(|used| height(used) > height(module));
            assert_eq!(higher, None, "{path} uses a module above it");
        }
    }
}

#[test]
fn clippy_denies_panics_where_bytes_of_a_peer_are_handled() {
    for module in FLOORS_WITHOUT_EXPECT {
        let root =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("core/src").join(module).join("mod.rs");
        let source = fs::read_to_string(root).expect("the root of a module");
        let (_, denied) = source.split_once("    deny(\n").expect("a list of lints");
        let (denied, _) = denied.split_once(')').expect("its end");
        for lint in LINTS {
            assert!(denied.contains(&format!("clippy::{lint}")), "{module}: {lint} is not denied");
        }
    }
}

#[test]
fn every_module_of_the_library_has_a_floor() {
    let root = include_str!("../../../core/src/lib.rs");
    for module in root.lines().filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';')) {
        assert!(floor_of(module).is_some(), "`{module}` is on no floor");
    }
}

/// The most names that the library offers. A new one needs a reason.
const FACADE_NAMES_MAX: usize = 48;

#[test]
fn the_library_offers_at_most_forty_eight_names() {
    let facade =
        include_str!("../../../src/lib.rs").split("pub mod testing").next().unwrap_or_default();
    let exports = facade.split("pub use ").skip(1).filter_map(|rest| rest.split(';').next());
    let count = |export: &str| match export.split_once('{') {
        Some((_, list)) => {
            list.split(',').filter(|name| !name.trim_matches([' ', '\n', '}']).is_empty()).count()
        }
        None => 1,
    };
    let names: usize = exports.map(count).sum();
    assert!((30..=FACADE_NAMES_MAX).contains(&names), "the library offers {names} names");
    assert!(!facade.contains('*'), "the number of names that a glob offers is unknown");
}

#[test]
fn an_import_that_goes_up_is_found_however_it_is_written() {
    for (path, code) in [
        ("buffers/pool.rs", "use crate::wire::line::LineDecoder;"),
        ("wire/line.rs", "use crate::protocol::Step;"),
        ("protocol/mod.rs", "use super::connection::Connection;"),
        ("protocol/text.rs", "fn f() { super::super::server::Server::bind() }"),
        ("connection/mod.rs", "let config: crate::server::Config;"),
        ("server/mod.rs", "use tinytcp_client::demo;"),
        ("load/report/mod.rs", "use tinytcp_client::connect::Patience;"),
        ("load/merge.rs", "use tinytcp_core::server::Config;"),
        ("cli/units.rs", "use tinytcp_client::demo;"),
        ("protocol/echo.rs", "use crate::{os, server};"),
        ("wire/frame.rs", "use crate::attic::Junk;"),
    ] {
        assert_eq!(faults(path, code).len(), 1, "{path}: {code}: {:?}", faults(path, code));
    }
}

#[test]
fn what_is_forbidden_is_found() {
    for (path, code) in [
        ("buffers/pool.rs", "async fn f() {}"),
        ("programs/bin/tinytcp-server.rs", "use tokio::net::TcpStream;"),
        ("server/mod.rs", "unsafe { f() }"),
        ("server/mod.rs", "let n = text.parse().unwrap();"),
        ("wire/line.rs", "let n = text.parse().expect(\"a number\");"),
        ("client/lib.rs", "let n = todo!();"),
        ("server/mod.rs", "_ => unreachable!(\"never\"),"),
        ("os/table.rs", "let map: HashMap<Token, Vec<(u8, u8)>, Quick>;"),
        ("os/table.rs", "let map = HashSet::with_hasher(Quick);"),
    ] {
        assert_eq!(faults(path, code).len(), 1, "{path}: {code}: {:?}", faults(path, code));
    }
}

#[test]
fn what_is_allowed_is_not_a_fault() {
    for (path, code) in [
        (
            "server/mod.rs",
            "use crate::buffers::pool::Pool;\nuse crate::connection::{Connection, Turn};",
        ),
        ("connection/timeouts.rs", "use super::{Connection, Turn};"),
        ("client/script/asker.rs", "use super::super::connect::Patience;"),
        ("programs/bin/tinytcp-server.rs", "use tinytcp_core::server::Server;"),
        ("client/lib.rs", "use tinytcp_cli::target::Target;\nuse crate::demo;"),
        (
            "buffers/pool.rs",
            "// An unsafe or async way would be faster.\n/// See [`crate::server`].\nfn f() {}",
        ),
        ("buffers/pool.rs", "#![forbid(unsafe_code)]\nlet map: HashMap<Vec<(u8, u8)>, u8>;"),
        ("os/clock.rs", "let text = text.parse().expect(\"made of digits above\");"),
        (
            "wire/line.rs",
            "fn f() {}\n#[cfg(test)]\nmod tests {\n    use crate::server;\n    \
             fn g() { f().unwrap() }\n}",
        ),
    ] {
        assert_eq!(faults(path, code), Vec::<String>::new(), "{path}: {code}");
    }
}

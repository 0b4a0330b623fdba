//! No files of the library import each other in a circle.
//!
//! A `mod.rs` declares the files of its folder, and they may use its items. Such a pair is no
//! circle, because it is one module in several files.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// The members of the workspace. Cargo allows no circle between them.
const MEMBERS: [&str; 4] = ["core", "cli", "client", "load"];

/// The modules that each module imports, by path within its member: `report/html`.
type Imports = BTreeMap<String, BTreeSet<String>>;

/// Collects the sources below `dir` by module path, without comments and the test module at the
/// end.
fn sources(dir: &Path, path: &str, found: &mut BTreeMap<String, String>) {
    for entry in fs::read_dir(dir).expect("a folder of sources") {
        let file = entry.expect("a readable folder").path();
        let name = file.file_stem().and_then(|name| name.to_str()).expect("a name in ASCII");
        let inner = if path.is_empty() { name.to_owned() } else { format!("{path}/{name}") };
        if file.is_dir() {
            sources(&file, &inner, found);
        } else if file.extension().is_some_and(|extension| extension == "rs") {
            let source = fs::read_to_string(&file).expect("a readable source");
            let production = source.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
            let code = production.lines().filter(|line| !line.trim_start().starts_with("//"));
            let is_root = matches!(name, "mod" | "lib");
            found.insert(
                if is_root { path.to_owned() } else { inner },
                code.collect::<Vec<_>>().join("\n"),
            );
        }
    }
}

/// Returns the paths of this tree of `use`: `a::{b, c::{d, e}}` is `a::b`, `a::c::d` and `a::c::e`.
fn expand(tree: &str) -> Vec<String> {
    let Some((prefix, list)) = tree.split_once('{') else { return vec![tree.to_owned()] };
    let list = list.strip_suffix('}').unwrap_or(list);
    let (mut paths, mut depth, mut start) = (Vec::new(), 0, 0);
    for (at, c) in list.char_indices().chain([(list.len(), ',')]) {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                paths.extend(
                    expand(&list[start..at]).into_iter().map(|path| format!("{prefix}{path}")),
                );
                start = at + 1;
            }
            _ => {}
        }
    }
    paths
}

/// Returns the module of `path`, which is written in `module`, if it is another one of `modules`.
fn target(path: &str, module: &str, modules: &BTreeMap<String, String>) -> Option<String> {
    let mut steps = path.split("::").peekable();
    let mut place: Vec<&str> = match *steps.peek()? {
        "crate" => Vec::new(),
        "super" => module.split('/').collect(),
        _ => return None,
    };
    while let Some(step) = steps.next_if(|step| matches!(*step, "crate" | "super")) {
        if step == "super" {
            place.pop();
        }
    }
    for step in steps {
        place.push(step);
        if !modules.contains_key(&place.join("/")) {
            place.pop();
            break;
        }
    }
    let target = place.join("/");
    (modules.contains_key(&target) && target != module).then_some(target)
}

fn is_part(one: &str, other: &str) -> bool {
    one.strip_prefix(other).is_some_and(|rest| rest.starts_with('/'))
}

fn imports(modules: &BTreeMap<String, String>) -> Imports {
    let of = |(module, code): (&String, &String)| {
        let uses = code.split("use ").skip(1).filter_map(|rest| rest.split_once(';'));
        let paths = uses.flat_map(|(tree, _)| expand(&tree.split_whitespace().collect::<String>()));
        let targets = paths.filter_map(|path| target(&path, module, modules));
        let others = targets.filter(|target| !is_part(module, target) && !is_part(target, module));
        (module.clone(), others.collect())
    };
    modules.iter().map(of).collect()
}

/// Returns the modules on a path from `from` to `to`, both included.
fn way(
    imports: &Imports,
    from: &str,
    to: &str,
    seen: &mut BTreeSet<String>,
) -> Option<Vec<String>> {
    if !seen.insert(from.to_owned()) {
        return None;
    }
    imports.get(from)?.iter().find_map(|next| {
        let rest =
            if next == to { Some(vec![to.to_owned()]) } else { way(imports, next, to, seen) };
        rest.map(|rest| [vec![from.to_owned()], rest].concat())
    })
}

fn circles(imports: &Imports) -> Vec<String> {
    let circle = |module: &String| {
        way(imports, module, module, &mut BTreeSet::new()).map(|way| way.join(" -> "))
    };
    imports.keys().filter_map(circle).collect()
}

#[test]
fn no_files_import_each_other_in_a_circle() {
    let mut count = 0;
    for member in MEMBERS {
        let src = Path::new(env!("CARGO_MANIFEST_DIR")).join(member).join("src");
        let mut modules = BTreeMap::new();
        sources(&src, "", &mut modules);
        let imports = imports(&modules);
        count += imports.values().map(BTreeSet::len).sum::<usize>();
        let circles = circles(&imports);
        assert!(circles.is_empty(), "{member}: {}", circles.join("\n"));
    }
    assert!(count > 300, "only {count} imports were found");
}

#[test]
fn a_circle_is_found_however_its_imports_are_written() {
    let modules = [
        ("load", ""),
        ("load/a", "use super::b::{self, B};"),
        ("load/b", "use crate::{base, load::{c::C, d}};"),
        ("load/c", "use super::super::load::a::A;"),
        ("load/d", "use super::Load;"),
    ];
    let modules = modules.map(|(module, code)| (module.to_owned(), code.to_owned())).into();
    let expected = [
        "load/a -> load/b -> load/c -> load/a",
        "load/b -> load/c -> load/a -> load/b",
        "load/c -> load/a -> load/b -> load/c",
    ];
    assert_eq!(circles(&imports(&modules)), expected);
}

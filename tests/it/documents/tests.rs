//! Every test that a document names is in the file that the document names.
//!
//! `file::name` is in `tests/`, `core/src/file::name` is a unit test, and a name without a file is
//! in the file named before it in the same item, row or paragraph. `*` stands for any text, and
//! `{a,b}` for `a` or `b`.

use crate::support::documents::{self, Document, root};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// A name without a file and with this number of underscores is that of a test.
const UNDERSCORES_MIN: usize = 4;

/// The folders in which a file of tests is looked up.
const FOLDERS: [&str; 3] = ["", "tests", "tests/it"];

/// The functions of each source file, by its path below the root, without `.rs` and `/mod`.
type Functions = BTreeMap<String, Vec<String>>;

fn functions() -> Functions {
    let mut functions = Functions::new();
    collect(root(), &mut functions);
    functions
}

fn collect(dir: &Path, functions: &mut Functions) {
    for entry in fs::read_dir(dir).expect("a readable folder").flatten() {
        let path: PathBuf = entry.path();
        let name = entry.file_name();
        if path.is_dir() && name != "target" && !name.to_string_lossy().starts_with('.') {
            collect(&path, functions);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let source = fs::read_to_string(&path).expect("a readable source");
            let starts = source.lines().filter_map(|line| line.trim_start().strip_prefix("fn "));
            let is_of_name = |c: char| c == '_' || c.is_alphanumeric();
            let names = starts.map(|rest| rest.chars().take_while(|c| is_of_name(*c)).collect());
            let below_root = path.strip_prefix(root()).expect("below the root").with_extension("");
            let key = below_root.to_string_lossy();
            let key = key.strip_suffix("/mod").or(key.strip_suffix("/main")).unwrap_or(&key);
            functions.entry(key.to_owned()).or_default().extend(names);
        }
    }
}

/// Returns the names that `{a,b}_c` stands for.
fn alternatives(pattern: &str) -> Vec<String> {
    let Some((before, rest)) = pattern.split_once('{') else { return vec![pattern.to_owned()] };
    let (list, after) = rest.split_once('}').expect("a list that ends");
    list.split(',').flat_map(|word| alternatives(&format!("{before}{word}{after}"))).collect()
}

/// True exactly when `pattern`, in which `*` is any text, stands for `name`.
fn fits(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == name,
        Some((before, rest)) => name.strip_prefix(before).is_some_and(|after| {
            (0..=after.len())
                .filter(|start| after.is_char_boundary(*start))
                .any(|start| fits(rest, &after[start..]))
        }),
    }
}

/// Returns the functions in the files that `module` stands for, or in a folder of that name; none
/// if there is no such file.
fn in_module<'a>(functions: &'a Functions, module: &str) -> Vec<&'a String> {
    let module = module.replace("::", "/");
    let is_in = |path: &str| {
        FOLDERS.iter().map(|folder| Path::new(folder).join(&module)).any(|wanted| {
            let wanted = wanted.to_string_lossy();
            fits(&wanted, path) || fits(&format!("{wanted}/*"), path)
        })
    };
    functions.iter().filter(|(path, _)| is_in(path)).flat_map(|(_, names)| names).collect()
}

/// The meaning of a span in backquotes.
#[derive(Debug, PartialEq)]
enum Named<'a> {
    /// A function in a file, or all of them.
    Function(&'a str, &'a str),
    /// A function in the file named before.
    Alone(&'a str),
}

fn named(span: &str) -> Option<Named<'_>> {
    let is_of_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "_*{},".contains(c);
    let is_of_module = |c: char| is_of_name(c) || ":/".contains(c);
    match span.rsplit_once("::") {
        Some((module, name)) => (module.chars().all(is_of_module) && name.chars().all(is_of_name))
            .then_some(Named::Function(module, name)),
        None => (span.chars().all(is_of_name) && span.matches('_').count() >= UNDERSCORES_MIN)
            .then_some(Named::Alone(span)),
    }
}

/// Returns the parts of a document in which a name without a file belongs to the file named before
/// it.
fn parts(prose: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    for line in prose.lines() {
        if line.is_empty() || line.starts_with("- ") || line.starts_with('|') {
            parts.push(String::new());
        }
        let last = parts.last_mut().expect("one at least");
        last.push_str(line);
        last.push('\n');
    }
    parts
}

/// Returns the faults of the names of tests in `document`, and the number of names.
fn check(document: &Document, functions: &Functions) -> (Vec<String>, usize) {
    let (mut faults, mut count) = (Vec::new(), 0);
    for part in parts(&document.prose()) {
        let mut file = None;
        for span in part.split('`').skip(1).step_by(2) {
            let name = match named(span) {
                Some(Named::Function(module, name)) => {
                    if in_module(functions, module).is_empty() {
                        // The name can be `std::mem::take`, or a file and a module as in
                        // `faults::preloaded`.
                        let is_test = name.contains('*') || name.matches('_').count() >= 3;
                        let is_module =
                            !in_module(functions, &format!("{module}/{name}")).is_empty();
                        if is_test && !is_module && module != "clippy" {
                            faults.push(format!("`{span}`: there is no such file"));
                        }
                        continue;
                    }
                    file = Some(module);
                    name
                }
                Some(Named::Alone(name)) => name,
                None => continue,
            };
            let Some(file) = file else {
                faults.push(format!("`{span}`: no file is named before it"));
                continue;
            };
            let known = in_module(functions, file);
            let is_module = !in_module(functions, &format!("{file}/{name}")).is_empty();
            for name in alternatives(name) {
                count += 1;
                if !is_module && !known.iter().any(|known| fits(&name, known)) {
                    faults.push(format!("`{file}` has no function {name}"));
                }
            }
        }
    }
    (faults, count)
}

#[test]
fn every_test_that_a_document_names_is_in_the_file_it_names() {
    let functions = functions();
    let (mut faults, mut count) = (Vec::new(), 0);
    for document in documents::all() {
        let (faults_here, count_here) = check(&document, &functions);
        let path = document.path.display();
        faults.extend(faults_here.into_iter().map(|fault| format!("{path}: {fault}")));
        count += count_here;
    }
    assert!(faults.is_empty(), "{faults:#?}");
    assert!(count > 100, "only {count} tests are named");
}

#[test]
fn a_star_is_anything_and_braces_are_a_choice() {
    assert!(fits("a_*_c*", "a_b_c") && !fits("a_*_c", "a_b_d") && !fits("a", "ab"));
    assert_eq!(alternatives("{a,b}_{c,d}"), ["a_c", "a_d", "b_c", "b_d"]);
}

#[test]
fn a_name_in_backquotes_is_a_test_with_a_file_or_four_words() {
    assert_eq!(named("half_close::a_b"), Some(Named::Function("half_close", "a_b")));
    assert_eq!(named("a_name_of_a_test"), Some(Named::Alone("a_name_of_a_test")));
    assert_eq!(named("max_line"), None);
    assert_eq!(named("Session::greet"), None);
}

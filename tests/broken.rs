//! The simulation finds bugs: each of the likeliest ones is put into a copy of the sources, and a
//! test must fail there.
//!
//! The head of a patch in `tests/broken/` states what it breaks and which test must catch it. If
//! that is the simulation, it runs from several starting seeds, and the number of seeds that it
//! took is printed.

#[path = "support/cargo.rs"]
mod cargo;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The starting seeds of the runs. No bug takes as many seeds as there are from one start to the
/// next.
const STARTS: [u64; 5] = [0, 1_000_000, 2_000_000, 3_000_000, 4_000_000];
const SEEDS_MAX: u64 = 10_000;
/// The time for a run of the simulation, and for any other test, even on a busy machine.
const SIMULATION_SECONDS: &str = "900";
const TEST_SECONDS: &str = "60";

/// A patch that breaks something.
struct Patch {
    path: PathBuf,
    name: String,
    /// The arguments of the `cargo test` that must fail.
    catcher: Vec<String>,
}

impl Patch {
    fn read(path: PathBuf) -> Self {
        let text = fs::read_to_string(&path).expect("a readable patch");
        let catcher = text
            .lines()
            .find_map(|line| line.strip_prefix("Caught by: "))
            .expect("a patch names the test that catches it");
        let name = path.file_stem().expect("a patch has a name").to_string_lossy().into_owned();
        Self { name, catcher: catcher.split(' ').map(str::to_owned).collect(), path }
    }

    /// Returns the number of seeds that it took from each start, sorted; empty for a patch that
    /// another test catches.
    fn seeds_taken(&self, package: &Path) -> Result<Vec<u64>, String> {
        let starts = if is_simulated(&self.catcher) { &STARTS[..] } else { &STARTS[..1] };
        let mut taken = Vec::new();
        for start in starts {
            let seeds = format!("{start}..{}", start + SEEDS_MAX);
            let output = run_tests(package, &self.catcher, &seeds);
            let said =
                String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
            if output.status.success() || !said.contains("running 1 test") {
                return Err(format!("nothing fails in {seeds}:\n{said}"));
            }
            let count: Option<u64> = said
                .split("after ")
                .find_map(|rest| rest.split_once(" seeds, seed ")?.0.parse().ok());
            taken.extend(count);
        }
        taken.sort_unstable();
        Ok(taken)
    }
}

/// True exactly when the simulation catches it.
fn is_simulated(catcher: &[String]) -> bool {
    catcher.iter().any(|argument| argument == "simulation")
}

fn patches() -> Vec<Patch> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/broken");
    let mut paths: Vec<_> = fs::read_dir(dir)
        .expect("a folder of patches")
        .map(|it| it.expect("readable").path())
        .collect();
    paths.sort();
    paths.into_iter().map(Patch::read).collect()
}

/// Copies the package. Each patch changes only some files of the copy, so that cargo rebuilds only
/// what depends on them.
fn copy_package() -> PathBuf {
    let from = Path::new(env!("CARGO_MANIFEST_DIR"));
    let to = Path::new(env!("CARGO_TARGET_TMPDIR")).join("broken");
    let _ = fs::remove_dir_all(&to);
    let files = ["Cargo.toml", "Cargo.lock", "README.md"];
    let members = ["core", "cli", "client", "load", "packaging", "docs"];
    let folders = ["src", "tests", "benches", "examples"];
    for name in files.iter().chain(&members).chain(&folders) {
        copy(&from.join(name), &to.join(name));
    }
    to
}

fn copy(from: &Path, to: &Path) {
    if from.is_file() {
        fs::create_dir_all(to.parent().expect("below the copy")).expect("a place for the copy");
        fs::copy(from, to).expect("a copy");
        return;
    }
    for entry in fs::read_dir(from).expect("a readable folder") {
        let name = entry.expect("a readable folder").file_name();
        copy(&from.join(&name), &to.join(&name));
    }
}

/// Applies the patch to the copy, or removes it with `--reverse`.
fn apply(patch: &Patch, package: &Path, flags: &[&str]) {
    let mut git = Command::new("git");
    // Git must not take the copy, which is inside the repository, for files of the repository.
    git.current_dir(package)
        .env("GIT_CEILING_DIRECTORIES", package.parent().expect("a folder around it"));
    let status = git.arg("apply").args(flags).arg(&patch.path).status().expect("git");
    assert!(status.success(), "{} does not apply: update it", patch.name);
}

/// Builds the tests of `catcher`.
fn build(package: &Path, catcher: &[String]) {
    let output = cargo_test(Command::new(env!("CARGO")), package, catcher)
        .arg("--no-run")
        .output()
        .expect("cargo");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// Runs `cargo test` with `catcher`. A test that hangs counts as failed, and its processes are
/// killed.
fn run_tests(package: &Path, catcher: &[String], seeds: &str) -> Output {
    let mut timeout = Command::new("timeout");
    let patience = if is_simulated(catcher) { SIMULATION_SECONDS } else { TEST_SECONDS };
    timeout.args([patience, env!("CARGO")]).env("TINYTCP_SEEDS", seeds).env_remove("TINYTCP_SEED");
    cargo_test(timeout, package, catcher).output().expect("timeout")
}

fn cargo_test(mut command: Command, package: &Path, catcher: &[String]) -> Command {
    // A separate directory, so that programs of a broken server never replace those of other tests.
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("broken-target");
    command.current_dir(package).env("CARGO_TARGET_DIR", target).env("RUST_BACKTRACE", "0");
    cargo::forget_this_package(&mut command);
    // Patches are small, so that incremental builds are quick.
    command.env("CARGO_INCREMENTAL", "1");
    command.env("CARGO_PROFILE_DEV_DEBUG", "0").env("CARGO_PROFILE_TEST_DEBUG", "0");
    // Only the root package without its programs, so that the client and the generator are not
    // built for each patch. It is named with each test, so that all dependencies have the same
    // features.
    command.args(["test", "--locked", "-p", "tinytcp", "--no-default-features"]);
    command.args(["--features", "tls"]).args(catcher);
    command
}

#[test]
#[ignore = "builds the package once per variant, in minutes; needs git and timeout"]
fn every_broken_variant_is_caught() {
    let mut escaped = Vec::new();
    let package = copy_package();
    for patch in patches() {
        apply(&patch, &package, &[]);
        build(&package, &patch.catcher);
        match patch.seeds_taken(&package) {
            Ok(taken) if taken.is_empty() => {
                println!("{}: caught by {}", patch.name, patch.catcher.join(" "))
            }
            Ok(taken) => println!(
                "{}: caught after {} seeds, of {taken:?}",
                patch.name,
                taken[taken.len() / 2]
            ),
            Err(said) => escaped.push(format!("{}: {said}", patch.name)),
        }
        apply(&patch, &package, &["--reverse"]);
    }
    assert!(escaped.is_empty(), "{}", escaped.join("\n"));
}

#[test]
fn each_of_the_likeliest_bugs_has_a_patch() {
    let mut numbers: Vec<usize> =
        patches().iter().map(|patch| patch.name[..2].parse().expect("a number")).collect();
    numbers.dedup();
    assert_eq!(numbers, (1..=14).collect::<Vec<_>>());
}

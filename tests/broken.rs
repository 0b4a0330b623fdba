//! The simulation finds bugs: each of the likeliest ones is put into a copy of the sources, and
//! something must fail there.
//!
//! A patch in `tests/broken/` says in words what it breaks, and which test must catch it. Where
//! that is the simulation, it is run from several starting seeds, and how many seeds it took is
//! told.

#[path = "support/cargo.rs"]
mod cargo;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Where runs start; the seeds from one start to the next are many more than any bug takes.
const STARTS: [u64; 5] = [0, 1_000_000, 2_000_000, 3_000_000, 4_000_000];
const SEEDS_MAX: u64 = 10_000;
/// A run of so many seeds ends within so many seconds, on a machine however busy; and any other
/// test within so many.
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
            .expect("a patch says what catches it");
        let name = path.file_stem().expect("a patch has a name").to_string_lossy().into_owned();
        Self { name, catcher: catcher.split(' ').map(str::to_owned).collect(), path }
    }

    /// How many seeds it took from each start, in order of size; none for a patch that another test
    /// catches.
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

/// A copy of the package, whose files change with each patch: the compiler makes anew only what
/// follows from them.
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

/// Applies the patch to the copy, or takes it back with `--reverse`.
fn apply(patch: &Patch, package: &Path, flags: &[&str]) {
    let mut git = Command::new("git");
    // The copy is inside the repository, whose files it must not take for its own.
    git.current_dir(package)
        .env("GIT_CEILING_DIRECTORIES", package.parent().expect("a folder around it"));
    let status = git.arg("apply").args(flags).arg(&patch.path).status().expect("git");
    assert!(status.success(), "{} no longer applies: make it anew", patch.name);
}

/// Builds what `catcher` needs.
fn build(package: &Path, catcher: &[String]) {
    let output = cargo_test(Command::new(env!("CARGO")), package, catcher)
        .arg("--no-run")
        .output()
        .expect("cargo");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// Runs `cargo test` with `catcher`. A test that hangs has failed too: what it started is ended
/// with it.
fn run_tests(package: &Path, catcher: &[String], seeds: &str) -> Output {
    let mut timeout = Command::new("timeout");
    let patience = if is_simulated(catcher) { SIMULATION_SECONDS } else { TEST_SECONDS };
    timeout.args([patience, env!("CARGO")]).env("TINYTCP_SEEDS", seeds).env_remove("TINYTCP_SEED");
    cargo_test(timeout, package, catcher).output().expect("timeout")
}

fn cargo_test(mut command: Command, package: &Path, catcher: &[String]) -> Command {
    // A directory of its own: programs of a broken server never replace those of other tests.
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("broken-target");
    command.current_dir(package).env("CARGO_TARGET_DIR", target).env("RUST_BACKTRACE", "0");
    cargo::forget_this_package(&mut command);
    // Patches are small.
    command.env("CARGO_INCREMENTAL", "1");
    command.env("CARGO_PROFILE_DEV_DEBUG", "0").env("CARGO_PROFILE_TEST_DEBUG", "0");
    // The root package alone, without its programs, so that the client and the generator are not
    // built for each patch; and with each test, so that all that are needed have the same features.
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

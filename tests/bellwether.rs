//! The real binary, run as a person runs it.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

/// A folder that a person works in, and the binary run there.
pub(crate) struct Desk {
    folder: TempDir,
}

/// What a run of the binary came to.
pub(crate) struct Ran {
    /// Exit code.
    pub(crate) code: i32,
    /// Standard output.
    pub(crate) out: String,
    /// Standard error.
    pub(crate) err: String,
}

impl Desk {
    /// An empty folder.
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("a temporary folder") }
    }
    /// A folder with this configuration.
    pub(crate) fn with(config: &str) -> Self {
        let desk = Self::new();
        desk.write("bellwether.yaml", config);
        desk
    }
    /// The folder.
    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }
    /// Writes a file, and the folders above it.
    pub(crate) fn write(&self, name: &str, text: &str) {
        let path = self.path().join(name);
        std::fs::create_dir_all(path.parent().expect("a file is in a folder")).expect("the test's folder is writable");
        std::fs::write(path, text).expect("the test's folder is writable");
    }
    /// The text of a file.
    pub(crate) fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path().join(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
    }
    /// The binary, to be run here with these arguments and nothing of this process's configuration.
    pub(crate) fn command<A: AsRef<OsStr>>(&self, args: &[A]) -> Command {
        let mut command = Command::new(binary());
        command.args(args).current_dir(self.path()).stdin(Stdio::null());
        for (name, _) in std::env::vars_os() {
            let name = name.to_string_lossy().into_owned();
            if name.starts_with("BELLWETHER_") || ["PROM_URL", "POSTGRES_DSN", "RUST_LOG", "KUBECONFIG"].contains(&name.as_str()) {
                command.env_remove(name);
            }
        }
        command.env("NO_COLOR", "1").env("COLUMNS", "110").env("USER", "tester");
        command
    }
    /// Runs the binary with arguments that are separated by spaces.
    pub(crate) fn run(&self, args: &str) -> Ran {
        self.run_args(&args.split_whitespace().collect::<Vec<_>>())
    }
    /// Runs the binary with these arguments.
    pub(crate) fn run_args(&self, args: &[&str]) -> Ran {
        Ran::of(self.command(args).output().unwrap_or_else(|e| panic!("{}: {e}", binary().display())))
    }
    /// The rows of a query.
    pub(crate) fn sql(&self, query: &str) -> Vec<serde_json::Value> {
        let rows = self.run_args(&["sql", "--output", "json", query]).expect(0).json();
        rows.as_array().cloned().unwrap_or_else(|| panic!("no rows: {rows}"))
    }
    /// The number that a query of one row and one column gives.
    pub(crate) fn count(&self, query: &str) -> i64 {
        let rows = self.sql(query);
        let value = rows.first().and_then(|row| row.as_object()?.values().next()?.as_i64());
        value.unwrap_or_else(|| panic!("{query}: {rows:?}"))
    }
}

impl Ran {
    /// The same, once the process has ended.
    pub(crate) fn of(output: Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Self { code: output.status.code().unwrap_or(-1), out: text(&output.stdout), err: text(&output.stderr) }
    }
    /// The same, where the exit code is this one.
    #[track_caller]
    pub(crate) fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, code, "exit code\n--- stdout\n{}\n--- stderr\n{}", self.out, self.err);
        self
    }
    /// Standard output as one JSON document.
    #[track_caller]
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.out)
            .unwrap_or_else(|e| panic!("standard output is not one JSON document: {e}\n{}\n{}", self.out, self.err))
    }
    /// Asserts that standard error holds each of these.
    #[track_caller]
    pub(crate) fn says(&self, words: &[&str]) {
        for word in words {
            assert!(self.err.contains(word), "{word:?} is not in standard error:\n{}", self.err);
        }
    }
}

/// The binary: what `BELLWETHER_BIN` names, or what was built beside this test.
pub(crate) fn binary() -> PathBuf {
    if let Some(path) = std::env::var_os("BELLWETHER_BIN") {
        return path.into();
    }
    // target/debug/deps/product-… → target/debug/bellwether
    let here = std::env::current_exe().expect("a running test has a path");
    let built = here.parent().and_then(Path::parent).map(|folder| folder.join("bellwether")).expect("tests lie in target/<profile>/deps");
    assert!(built.exists(), "{} is not built; run `cargo build --workspace` first, as scripts/test does", built.display());
    built
}

//! How this program was called: what a person types before a command to get the same program and the same configuration.
//! The only reader of the process's arguments beside clap.

use std::fmt;
use std::path::Path;
use std::sync::LazyLock;

use clap::Parser as _;

use crate::cli::Cli;

/// The name in our own sentences: commands stand there as `` `bellwether round` ``.
const NAME: &str = "bellwether";

/// The words before a command, such as `bellwether`, or `target/release/bellwether -c fleet/bellwether.yaml`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program(String);

impl Program {
    /// As this process was called. What the environment says, or is the default, need not be typed again.
    pub fn called() -> &'static Self {
        static CALLED: LazyLock<Program> = LazyLock::new(|| {
            let environment = std::env::var_os("BELLWETHER_CONFIG");
            let of = |cli: Cli| {
                let config = cli.global.config;
                let is_known = config == Path::new("bellwether.yaml") || environment.is_some_and(|known| config == Path::new(&known));
                Program::new(&Program::name(), (!is_known).then_some(config.as_path()))
            };
            Cli::try_parse().map_or_else(|_| Program::default(), of)
        });
        &CALLED
    }

    /// As this process was called, with this configuration.
    pub fn with(config: &Path) -> Self {
        Self::new(&Self::name(), Some(config))
    }

    fn new(name: &str, config: Option<&Path>) -> Self {
        let name = word(name);
        Self(config.map_or_else(|| name.clone(), |path| format!("{name} -c {}", word(&path.display().to_string()))))
    }

    /// A newcomer types a path such as `target/debug/bellwether`. A whole path stands behind an alias or in a service's file more often
    /// than it is typed, so the name alone is told then.
    fn name() -> String {
        let typed = std::env::args().next().filter(|name| name.contains('/') && !name.starts_with('/'));
        typed.unwrap_or_else(|| NAME.into())
    }

    /// A command line that can be pasted.
    pub fn command(&self, words: &str) -> String {
        format!("{self} {words}")
    }

    /// Our own prose, in which every `` `bellwether …` `` becomes a command line that can be pasted.
    pub fn told(&self, prose: &str) -> String {
        let own = format!("`{NAME} ");
        let mut parts = prose.split(own.as_str());
        let mut told = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            // What names a configuration already was told before.
            let program = if part.starts_with("-c ") { NAME } else { &self.0 };
            told.push_str(&format!("`{program} {part}"));
        }
        told
    }
}

impl Default for Program {
    fn default() -> Self {
        Self(NAME.into())
    }
}

impl fmt::Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A word as a shell reads it: in quotes where it has to be.
fn word(text: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "_-./:@%+=,".contains(c);
    if !text.is_empty() && text.chars().all(plain) { text.to_owned() } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_in_prose_can_be_pasted() {
        let prose = "run `bellwether ingest --backfill 14d`, then `bellwether round`; bellwether keeps a ledger";
        let program = Program::new("target/release/bellwether", Some(Path::new("my fleet/it's.yaml")));
        assert_eq!(program.command("round"), r"target/release/bellwether -c 'my fleet/it'\''s.yaml' round");
        assert_eq!(
            Program::new("bellwether", Some(Path::new("fleet/b.yaml"))).told(prose),
            "run `bellwether -c fleet/b.yaml ingest --backfill 14d`, then `bellwether -c fleet/b.yaml round`; bellwether keeps a ledger"
        );
        let told = Program::new("bellwether", Some(Path::new("a.yaml"))).told(prose);
        assert_eq!(Program::new("bellwether", Some(Path::new("b.yaml"))).told(&told), told, "once is enough");
        assert_eq!(Program::default().told(prose), prose);
    }
}

//! The demo's folder: the files that a user of the simulated fleet would have written, and a configuration that names them.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use bellwether_executor::fleet::{Fleet, world};
use bellwether_governance::{playbook, yaml};
use serde_json::Value;

use super::stage::Stage;
use super::write;
use crate::config::Config;
use crate::failure::Failure;
use crate::open;

/// Says that a folder is a demo's, so that the next demo may replace it.
const MARKER: &str = ".bellwether-demo";

/// A folder that belongs to the demo alone.
pub(super) struct Folder {
    root: PathBuf,
}

impl Folder {
    /// An empty folder at this path. A former demo there is replaced.
    ///
    /// # Errors
    /// Something else is there.
    pub(super) fn fresh(root: &Path) -> Result<Self, Failure> {
        let failure = |e: std::io::Error| Failure::user(format!("cannot use the folder {}: {e}", root.display()));
        if root.exists() {
            let empty = root.is_dir() && fs::read_dir(root).map_err(failure)?.next().is_none();
            if !empty && !root.join(MARKER).is_file() {
                return Err(
                    Failure::user(format!("{} is there already and is no demo", root.display())).hint("name another folder with --dir")
                );
            }
            fs::remove_dir_all(root).map_err(failure)?;
        }
        fs::create_dir_all(root).map_err(failure)?;
        fs::write(root.join(MARKER), "This folder was made by `bellwether demo`, and the next demo in it replaces it.\n")
            .map_err(failure)?;
        Ok(Self { root: root.to_owned() })
    }

    /// A path in it.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// Writes what a user would have written. Gives the configuration for this run: the same, with whole paths.
    pub(super) fn write(&self, fleet: &Fleet, stage: &Stage) -> Result<Config, Failure> {
        let (mut services, mut pins) = (String::new(), String::new());
        for (name, content) in world::files(fleet) {
            if name == "services.yaml" {
                content.lines().filter(|l| !l.is_empty() && !l.starts_with('#')).for_each(|l| _ = writeln!(services, "    {l}"));
                continue;
            }
            if name.starts_with("playbooks/") {
                let loaded = playbook::load(&name, &content).map_err(open::load_failure)?;
                let _ = writeln!(pins, "    {}: {}", loaded.playbook.id, loaded.playbook.digest);
            }
            let path = self.path(&name);
            if let Some(folder) = path.parent() {
                fs::create_dir_all(folder).map_err(|e| Failure::user(format!("cannot make {}: {e}", folder.display())))?;
            }
            write(&path, &content)?;
        }
        write(&self.path("kubeconfig.yaml"), &stage.kubeconfig())?;
        write(&self.path("runs.jsonl"), &lines(&fleet.past_runs()))?;
        let text = |prefix: &str| {
            include_str!("bellwether.yaml")
                .replace("${dir}", prefix)
                .replace("${prometheus}", &stage.prometheus_url())
                .replace("${services}", services.trim_end())
                .replace("${pins}", pins.trim_end())
        };
        write(&self.path("bellwether.yaml"), &text(""))?;
        let root = fs::canonicalize(&self.root).map_err(|e| Failure::user(format!("cannot use {}: {e}", self.root.display())))?;
        // What the environment says is for the user's own fleet, not for this one.
        let name = self.path("bellwether.yaml").display().to_string();
        yaml::parse(&name, &text(&format!("{}/", root.display()))).map_err(|e| open::load_failure(yaml::LoadErrors(vec![e])))
    }

    /// Writes OpenLineage events, one a line.
    pub(super) fn write_lineage(&self, events: &[Value]) -> Result<(), Failure> {
        write(&self.path("lineage.jsonl"), &lines(events))
    }
}

fn lines(rows: &[Value]) -> String {
    rows.iter().map(|row| format!("{row}\n")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_former_demo_is_replaced_and_nothing_else() {
        let scratch = tempfile::tempdir().unwrap();
        let root = scratch.path().join("demo");
        let first = Folder::fresh(&root).unwrap();
        fs::write(first.path("old"), "x").unwrap();
        let second = Folder::fresh(&root).unwrap();
        assert!(!second.path("old").exists());

        let mine = scratch.path().join("mine");
        fs::create_dir(&mine).unwrap();
        Folder::fresh(&mine).unwrap();
        fs::remove_file(mine.join(MARKER)).unwrap();
        fs::write(mine.join("thesis.txt"), "x").unwrap();
        let refused = Folder::fresh(&mine).map(|_| ()).unwrap_err();
        assert!(refused.message.contains("is no demo"), "{refused}");
        assert!(mine.join("thesis.txt").exists());
    }
}

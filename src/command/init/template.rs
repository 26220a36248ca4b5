//! The configuration that `init` writes: what is in force, and below it what can be, as YAML behind a `#` without a space.

use bellwether_pipelines::rules::packs::Pack;
use url::Url;

/// What stands below the Prometheus.
const REST: &str = include_str!("rest.yaml");

/// The text of a configuration for this Prometheus and these packs, and with the folder of rules in force or not.
pub fn render(prometheus: &Url, packs: &[Pack], own_rules: bool) -> String {
    let mut text = String::from(
        "# Configuration of bellwether. A line that begins with `#` and no space is a setting that is not in force:\n\
         # take the `#` away. `bellwether doctor` checks the file and everything it names. Environment variables override it:\n\
         # BELLWETHER__ACT__MODE=plan. Relative paths are relative to this file. No secret belongs in here.\n\
         version: 1\n\n\
         # The Prometheus that is read, and what is asked of it.\nprometheus:\n",
    );
    text.push_str(&format!("  url: {}\n", prometheus.as_str().trim_end_matches('/')));
    text.push_str("  # Built-in rules that fit the metrics it has. `rules` adds your own.\n");
    if packs.is_empty() {
        text.push_str("  packs: []\n");
    } else {
        text.push_str("  packs:\n");
        for pack in packs {
            text.push_str(&format!("    - {:<14} # {}\n", pack.head.name, pack.head.title));
        }
    }
    text.push_str(if own_rules {
        "  rules: [rules/]\n"
    } else {
        "#  rules: [rules/] # a folder with files of your own rules; make it first\n"
    });
    text.push_str(REST);
    text
}

#[cfg(test)]
mod tests {
    use bellwether_pipelines::rules::packs;

    use super::*;
    use crate::config::{ActMode, read};

    fn rendered(metrics: &[&str]) -> String {
        let names: Vec<String> = metrics.iter().map(|m| (*m).to_owned()).collect();
        render(&"http://prom:9090/".parse().unwrap(), &packs::fitting(&names), false)
    }

    /// Takes the `#` of every setting away.
    fn uncommented(text: &str) -> String {
        let line = |line: &str| match line.strip_prefix('#') {
            Some(setting) if !setting.starts_with(' ') || setting.starts_with("  ") => setting.to_owned(),
            _ => line.to_owned(),
        };
        text.lines().map(line).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn what_is_written_can_be_read() {
        let config = read("b.yaml", &rendered(&["up", "node_cpu_seconds_total"]), std::iter::empty()).unwrap();
        let prometheus = config.prometheus.unwrap();
        assert_eq!((prometheus.url.as_str(), prometheus.packs), ("http://prom:9090/", vec!["node".to_owned(), "prometheus".to_owned()]));
        assert_eq!(config.act.mode, ActMode::Plan);
        assert!(config.kubernetes.is_none() && config.schedule.is_empty());
        let without = read("b.yaml", &rendered(&[]), std::iter::empty()).unwrap().prometheus.unwrap();
        assert!(without.packs.is_empty() && without.rules.is_empty());
        let own = render(&"http://prom:9090/".parse().unwrap(), &[], true);
        assert_eq!(read("b.yaml", &own, std::iter::empty()).unwrap().prometheus.unwrap().rules, [std::path::PathBuf::from("rules/")]);
    }

    #[test]
    fn every_setting_that_is_not_in_force_is_valid_when_it_is() {
        let text = uncommented(&rendered(&["up"]));
        let config = read("b.yaml", &text, std::iter::empty()).unwrap_or_else(|e| panic!("{e}\n{text}"));
        assert!(config.kubernetes.is_some() && config.notify.is_some() && config.schedule.len() >= 3);
        assert!(
            config.runs.postgres.is_some()
                && !config.governance.services.is_empty()
                && !config.endpoints.is_empty()
                && !config.pools.is_empty()
        );
    }
}

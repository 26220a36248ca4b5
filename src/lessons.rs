//! What `--help` teaches beyond `-h`: for each command when it is of use, and two lines to type.

use clap::Command;

/// One command's lesson.
struct Lesson {
    /// The command.
    command: &'static str,
    /// When it is of use, and what to know before.
    text: &'static str,
    /// Lines to type, without the program's name, and what they do.
    examples: [(&'static str, &'static str); 2],
}

const LESSONS: [Lesson; 27] = [
    Lesson {
        command: "init",
        text: "The first step on a Prometheus of your own. It asks which metrics are there and writes a configuration with the rule packs that fit; nothing else is touched.",
        examples: [
            ("init --prom http://localhost:9090", "write bellwether.yaml"),
            ("init --prom http://localhost:9090 -c fleet/bellwether.yaml", "write it elsewhere; give the same -c to later commands"),
        ],
    },
    Lesson {
        command: "doctor",
        text: "Whenever something does not work, and before a schedule runs unattended. It changes nothing.",
        examples: [
            ("doctor", "check everything that the configuration names"),
            ("doctor --report findings.json", "keep the findings for a ticket"),
        ],
    },
    Lesson {
        command: "demo",
        text: "A fleet of 24 endpoints with five labelled faults goes through the same code as yours would. It takes about half a minute and needs no network.",
        examples: [
            ("demo", "live through a simulated day, and write a report of it"),
            ("demo --dir fleet --serve", "leave the API up afterwards, to look around"),
        ],
    },
    Lesson {
        command: "ingest",
        text: "Sources are those of the configuration. A source that fails does not stop the others, and the next call carries on where the ledger ends.",
        examples: [("ingest --backfill 14d", "begin with two weeks"), ("ingest runs --file runs.jsonl", "read past runs from a file")],
    },
    Lesson {
        command: "detect",
        text: "To try rules and methods on what is in the ledger: nothing is recorded, so it may be repeated at will.",
        examples: [
            ("detect --last 7d", "judge a week by the configured rules"),
            ("detect --metric latency_p95 --method ewma", "see what another method would say of one metric"),
        ],
    },
    Lesson {
        command: "drift",
        text: "Files need neither a ledger nor a configuration. All columns are judged together, so that many columns do not make many false alarms. Of a model, `--model ml/iris` says how the data that feeds it stands.",
        examples: [
            ("drift training.parquet today.parquet", "compare two files, column by column"),
            ("drift before.csv after.csv --column amount --fail-on column", "stop a pipeline when a column drifted"),
        ],
    },
    Lesson {
        command: "backtest",
        text: "Before a detector or its threshold is trusted: series whose anomalies somebody labelled, each judged by the threshold that the others chose.",
        examples: [
            ("backtest nab --preset novelty --html page.html", "labelled series of others, every one drawn"),
            ("backtest --feedback", "the configured rules, by what people said of their incidents"),
        ],
    },
    Lesson {
        command: "signals",
        text: "A signal is one deviation of one series or column. Its state is open; ended, when the values came back; no data, when they stopped; or new normal, when they stayed for so long that they count as usual now.",
        examples: [
            ("signals --open --since 24h", "what deviates now, or did in the last day of the ledger"),
            ("signals show sig-1f3a", "how one of them went, what was expected, and its incident"),
        ],
    },
    Lesson {
        command: "incidents",
        text: "An incident is signals that belong together by time, by entity or by lineage. One that is open lasts until the newest sample.",
        examples: [
            ("incidents --open", "what is going on"),
            ("incidents show inc-1f3a", "one with its signals, recommendation, plan, decision, execution and outcome"),
        ],
    },
    Lesson {
        command: "explain",
        text: "When an incident is known and its cause is not. Changes before it, things that deviate below it and series that moved with it are ranked, with numbers; what could not be looked at is said.",
        examples: [
            ("explain inc-1f3a", "what may have caused it"),
            ("explain inc-1f3a --svg why.svg", "and a picture to share: its series, what changed with it, and the changes before it"),
        ],
    },
    Lesson {
        command: "eval",
        text: "How often the right playbook, or the right cause, comes first, and whether scores come true, beside plainer methods in the same run. It needs neither a ledger nor a configuration.",
        examples: [
            ("eval recommend --seed 7 --svg curves.svg", "live through a simulated history, about a minute, and draw how scores came true"),
            ("eval rca petshop-rca", "how often the known cause of an issue is named first"),
        ],
    },
    Lesson {
        command: "label",
        text: "What is called no incident comes last in reports and does not count as an incident there.",
        examples: [
            ("label inc-1f3a not-an-incident --comment \"load test\"", "say that it was a false alarm, and why"),
            ("label inc-1f3a incident", "say that it was real after all"),
        ],
    },
    Lesson {
        command: "recommend",
        text: "Playbooks are ranked by how alike the past cases are and how often they helped then. Where nothing is alike enough, it says so instead.",
        examples: [("recommend", "for every open incident"), ("recommend inc-1f3a --top 1", "only the best for one incident")],
    },
    Lesson {
        command: "plan",
        text: "A plan is a playbook bound to live objects. Showing one changes nothing in the cluster. Choosing a playbook yourself is remembered: it counts for that one, and against the one that was recommended first.",
        examples: [
            ("plan inc-1f3a", "the exact patches, their undo, and what governance says"),
            ("plan inc-1f3a --playbook scale-out", "bind a playbook of your choice instead"),
        ],
    },
    Lesson {
        command: "approve",
        text: "The approval counts for this plan's digest alone, and for a limited time. `bellwether token issue` makes a token.",
        examples: [
            ("approve plan-1f3a --token-file token.jwt", "let it be carried out"),
            ("approve plan-1f3a --token-file token.jwt --reject --comment \"freeze\"", "say no, and why"),
        ],
    },
    Lesson {
        command: "act",
        text: "How far it goes is set by act.mode in the configuration: plan (nothing is sent), dry_run, or execute.",
        examples: [
            ("act", "carry on what is approved until it is verified or rolled back"),
            ("act --no-wait", "do what can be done now, and come back later"),
        ],
    },
    Lesson {
        command: "round",
        text: "What a schedule runs. Repeating it is safe: what was judged is not judged again.",
        examples: [
            ("round --fail-on critical", "exit with code 3 while a critical incident is open"),
            ("round --dry-run --no-ingest", "see what the next round would conclude"),
        ],
    },
    Lesson {
        command: "report",
        text: "Incidents come in the order in which they deserve attention. The page is one file that needs nothing else.",
        examples: [
            ("report --last 24h", "the last day, at the terminal"),
            ("report --html fleet.html", "a page to share, with every series drawn"),
        ],
    },
    Lesson {
        command: "serve",
        text: "It listens on 127.0.0.1:8000 unless told otherwise; every route except health asks for a token.",
        examples: [("serve", "serve the API and run the schedule"), ("serve --listen 127.0.0.1:9000", "on another port")],
    },
    Lesson {
        command: "sql",
        text: "Read-only. docs/sql.md describes every table and view; --output json gives numbers in full.",
        examples: [
            ("sql \"SELECT incident_id, title, score FROM incidents_current\"", "ask the ledger anything"),
            ("sql --file sql/queries/story.sql --output json", "run a saved query, for a machine"),
        ],
    },
    Lesson {
        command: "lineage",
        text: "From a dataset to the endpoints that feel it, and back.",
        examples: [
            ("lineage endpoint:ml/iris --upstream", "what an endpoint's model was made from"),
            ("lineage dataset:s3://raw:orders --downstream", "what depends on a dataset"),
        ],
    },
    Lesson {
        command: "token",
        text: "For a start without an identity provider. Keep tokens in files of mode 0600.",
        examples: [
            ("token issue --subject ann --role org-admin", "a token that may approve plans"),
            ("token issue --subject dashboard --role viewer --ttl 30d", "a token that may only read"),
        ],
    },
    Lesson {
        command: "audit",
        text: "Every step of every plan is an entry, chained to the one before by its SHA-256.",
        examples: [
            ("audit verify", "find any entry that was edited, removed, inserted or moved"),
            ("audit log --limit 20", "the newest entries"),
        ],
    },
    Lesson {
        command: "lake",
        text: "The tables are Delta tables, so other engines read them too.",
        examples: [("lake stat --check", "sizes of all tables, and whether every file is whole"), ("lake maintain", "merge small files")],
    },
    Lesson {
        command: "embeddings",
        text: "Rounds embed what is new by themselves. After another embedder was configured, everything is to be embedded anew, once.",
        examples: [
            ("embeddings sync", "embed what has no vector yet"),
            ("embeddings rebuild", "make the collection in Qdrant anew from the ledger"),
        ],
    },
    Lesson {
        command: "models",
        text: "Without a model the built-in embedder compares incidents by their words. A sentence model also finds the same trouble in other words; its files and ONNX Runtime are yours to bring.",
        examples: [
            ("models add all-MiniLM-L6-v2 --runtime libonnxruntime.so", "check a model and use it from now on"),
            ("models list", "what there is, and what is in use"),
        ],
    },
    Lesson {
        command: "completions",
        text: "Put the script where your shell looks for completions.",
        examples: [("completions bash", "print the script for bash"), ("completions zsh", "print the script for zsh")],
    },
];

/// The same command line, whose `--help` teaches.
pub fn taught(mut command: Command) -> Command {
    for lesson in &LESSONS {
        command = command.mut_subcommand(lesson.command, |sub| sub.after_long_help(lesson.words()));
    }
    command
}

impl Lesson {
    fn words(&self) -> String {
        let examples = self.examples.iter().map(|(line, purpose)| format!("  bellwether {line}\n      {purpose}\n"));
        format!("{}\n\nExamples:\n{}", self.text, examples.collect::<String>())
    }
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory as _, Parser as _};

    use super::*;
    use crate::cli::Cli;

    #[test]
    fn every_command_is_taught_and_every_example_can_be_typed() {
        let untaught: Vec<_> =
            Cli::command().get_subcommands().map(|s| s.get_name().to_owned()).filter(|s| !LESSONS.iter().any(|l| l.command == s)).collect();
        assert_eq!(untaught, Vec::<String>::new());
        for (line, _) in LESSONS.iter().flat_map(|l| l.examples) {
            // Words in quotes are one argument: odd parts of a split at quotes.
            let words = line.split('"').enumerate().flat_map(|(i, part)| match i % 2 {
                1 => vec![part],
                _ => part.split_whitespace().collect(),
            });
            if let Err(e) = Cli::try_parse_from(std::iter::once("bellwether").chain(words)) {
                panic!("{line}: {e}");
            }
        }
        let help = taught(Cli::command()).try_get_matches_from(["bellwether", "signals", "--help"]).unwrap_err().to_string();
        assert!(help.contains("Examples:") && help.contains("Common options:"), "{help}");
        let short = taught(Cli::command()).try_get_matches_from(["bellwether", "signals", "-h"]).unwrap_err().to_string();
        assert!(!short.contains("Examples:") && short.lines().count() < 30, "{short}");
    }
}

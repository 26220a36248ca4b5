//! Progress for people who wait: a bar on a terminal, a few lines elsewhere.

use std::io::IsTerminal as _;

use indicatif::{ProgressBar, ProgressStyle};

/// Where progress is shown. It goes to stderr, so that stdout holds nothing but the report.
pub(super) struct Show {
    bar: Option<ProgressBar>,
}

impl Show {
    pub(super) fn new() -> Self {
        let style = ProgressStyle::with_template("{spinner} {msg:<64} {wide_bar} {percent:>3}% {elapsed:>4}");
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::new(1);
            if let Ok(style) = style {
                bar.set_style(style);
            }
            bar.enable_steady_tick(std::time::Duration::from_millis(120));
            bar
        });
        Self { bar }
    }

    /// Something new begins.
    pub(super) fn phase(&self, words: &str) {
        match &self.bar {
            Some(bar) => bar.set_message(words.to_owned()),
            None => eprintln!("{words}"),
        }
    }

    /// How far it is; for terminals only.
    pub(super) fn at(&self, words: &str, done: u64, total: u64) {
        if let Some(bar) = &self.bar {
            bar.set_length(total.max(1));
            bar.set_position(done.min(total));
            bar.set_message(words.to_owned());
        }
    }

    /// Something worth a line of its own.
    pub(super) fn note(&self, line: &str) {
        match &self.bar {
            Some(bar) => bar.println(line),
            None => eprintln!("{line}"),
        }
    }

    /// All is over.
    pub(super) fn done(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

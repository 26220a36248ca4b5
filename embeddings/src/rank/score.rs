//! The score in numbers: what past runs weigh, the features that come of it, and the probability that they make.

use bellwether_model::outcome::Effect;

use crate::context::Likeness;

/// How much a past run weighs for an incident: `similarity^power × ½^(age / half-life)`, times a factor for each part of the context
/// (things, GPU model, class of error) that is the same, and another where both are known and differ.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Kernel {
    /// Exponent of the similarity.
    pub power: f64,
    /// After this many days a run weighs half.
    pub half_life_days: f64,
    /// Factors of what is the same.
    pub same: [f64; 3],
    /// Factors of what differs.
    pub other: [f64; 3],
}

/// What the features are called, in their order.
pub const FEATURES: [&str; 4] = ["success", "share", "symptoms", "words"];

/// What a playbook's past and its own words say of it, in the order of [`FEATURES`]:
///
/// * success: log-odds of `(helped + ½) : (failed + ½)`, by weight;
/// * share: log of its part of everything that helped, with 0.05 of 0.6 to begin with;
/// * symptoms: how well the symptoms that it names fit, 0 to 1;
/// * words: the share of its description and tags that the incident's summary has.
pub type Features = [f64; 4];

/// Features into a probability: a logistic regression (Cox, 1958) with a weight for each feature. No weight is negative, so that nothing
/// that speaks for a playbook lowers its score.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Model {
    /// What past runs weigh.
    pub kernel: Kernel,
    /// Log-odds when all features are 0.
    pub intercept: f64,
    /// Log-odds for each unit of a feature.
    pub weights: Features,
}

/// Fitted on simulated histories (docs/adr/0004-fitted-ranking.md): `cargo run -p bellwether-embeddings --example fit_ranking`.
pub const SHIPPED: Model = Model {
    kernel: Kernel { power: 3.0, half_life_days: 60.0, same: [1.0, 1.0, 4.0], other: [0.2, 0.2, 0.2] },
    intercept: -1.01,
    weights: [0.71, 0.59, 1.52, 1.13],
};

/// What a past run says of its playbook.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Its outcome was measured or told: any but no data.
    Known(Effect),
    /// A person chose it over what was recommended.
    Chosen,
    /// A person rejected it, or chose another.
    Rejected,
}

impl Verdict {
    /// The verdict of an outcome's word; none when nothing is known.
    pub fn of_word(word: &str) -> Option<Self> {
        match word {
            CHOSEN => Some(Self::Chosen),
            REJECTED => Some(Self::Rejected),
            _ => Effect::of_word(word).filter(|effect| *effect != Effect::NoData).map(Self::Known),
        }
    }

    /// How much it counts for the playbook, and how much against it.
    const fn worth(self) -> (f64, f64) {
        match self {
            Self::Known(Effect::Effective) => (1.0, 0.0),
            Self::Known(Effect::Ineffective) => (0.0, 1.0),
            Self::Known(Effect::Harmful) => (0.0, 2.0),
            Self::Known(Effect::NoData) => (0.0, 0.0),
            Self::Chosen => (0.5, 0.0),
            Self::Rejected => (0.0, 0.5),
        }
    }
}

/// The outcome of a playbook that a person chose over what was recommended.
pub const CHOSEN: &str = "chosen";
/// The outcome of a playbook that a person rejected, or passed over for another.
pub const REJECTED: &str = "rejected";

impl Kernel {
    /// What a run of this similarity, age in days and likeness of context weighs.
    pub fn weight(&self, similarity: f64, days: f64, likeness: [Likeness; 3]) -> f64 {
        let context: f64 = likeness
            .iter()
            .enumerate()
            .map(|(part, likeness)| match likeness {
                Likeness::Same => self.same[part],
                Likeness::Other => self.other[part],
                Likeness::Unknown => 1.0,
            })
            .product();
        similarity.powf(self.power) * 0.5_f64.powf(days / self.half_life_days) * context
    }
}

/// What a playbook's past runs come to.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Tally {
    /// What speaks for it, by weight.
    pub helped: f64,
    /// What speaks against it, by weight; harm counts twice.
    pub failed: f64,
}

impl Tally {
    /// Counts one more run.
    pub fn count(&mut self, verdict: Verdict, weight: f64) {
        let (good, bad) = verdict.worth();
        self.helped += good * weight;
        self.failed += bad * weight;
    }

    /// The features, where all playbooks' `helped` is `all`.
    pub fn features(&self, all: f64, symptoms: f64, words: f64) -> Features {
        let success = ((self.helped + 0.5) / (self.failed + 0.5)).ln();
        let share = ((self.helped + 0.05) / (all.max(self.helped) + 0.6)).ln();
        [success, share, symptoms, words]
    }
}

impl Model {
    /// The log-odds that each feature adds, the intercept not among them.
    pub fn terms(&self, features: &Features) -> Features {
        std::array::from_fn(|i| self.weights[i] * features[i])
    }

    /// The probability that the playbook helps, before calibration.
    pub fn probability(&self, features: &Features) -> f64 {
        1.0 / (1.0 + (-self.intercept - self.terms(features).iter().sum::<f64>()).exp())
    }
}

//! Failures that a test injects into the simulated API server.

use serde_json::Value;

/// Says why an object may not be written, given the object as it would become; none admits it.
pub type Admission = Box<dyn Fn(&Value) -> Option<String> + Send>;

/// What goes wrong next. Empty by default. Reads are never failed.
#[derive(Default)]
pub struct Faults {
    /// This many write requests (dry runs excepted) take effect, but their reply is lost on the way.
    pub lose_replies: u32,
    /// This many write requests are refused before they take effect, with the HTTP status code beside it.
    pub refuse: Option<(u32, u16)>,
    /// Admission: a write it has words against is denied with 403, in dry runs too.
    pub admission: Option<Admission>,
}

impl Faults {
    /// Takes one refusal, if any is left.
    pub(crate) fn take_refusal(&mut self) -> Option<u16> {
        let (left, code) = self.refuse.as_mut().filter(|(left, _)| *left > 0)?;
        *left -= 1;
        Some(*code)
    }
    /// Takes one lost reply, if any is left.
    pub(crate) fn take_lost_reply(&mut self) -> bool {
        let lose = self.lose_replies > 0;
        self.lose_replies = self.lose_replies.saturating_sub(1);
        lose
    }
    /// What admission has against this object.
    pub(crate) fn objection(&self, object: &Value) -> Option<String> {
        self.admission.as_ref().and_then(|admit| admit(object))
    }
}

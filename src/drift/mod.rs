//! Two states of one dataset compared: what is said of it, as rows, at the terminal, and as a page.
//!
//! Every form is a pure function of the account: equal data gives equal bytes.
//!
//! Modules in reading order: [`account`] (what was found), [`predictions`] (how well a classifier does, and whether groups are treated
//! alike), [`text`] (the terminal), [`bars`] (a distribution drawn), [`page`] (the page). Beside them [`model`]: how the data that feeds a
//! model stands, by the profiles that its jobs report.

pub(crate) mod account;
mod bars;
pub(crate) mod model;
pub(crate) mod page;
pub(crate) mod predictions;
pub(crate) mod text;

//! The report: what the ledger says of one stretch of time, for a person to read.
//!
//! The same [`data::ReportData`] becomes a self-contained page ([`html::page`]), a terminal text ([`text::render`]) and
//! a picture of a day ([`overview::svg`]). Every form is a pure function of the data: no clock, no file, no network, and
//! equal data gives equal bytes.
//!
//! Modules in reading order: [`data`] (what a report holds, and the ranking), [`gather`] (what the ledger has of it), [`assemble`] (ledger rows
//! become incident cards), [`words`] (the sentences that all forms share), [`unjudged`] (what was left out), [`scale`] and [`chart`] (one
//! series drawn), [`escape`], [`html`] with [`card`] (the page), [`text`] (the terminal), [`overview`] (the picture). [`backtest`] draws
//! labelled series the same way, [`explained`] an incident with what changed beside it.

pub(crate) mod assemble;
pub(crate) mod backtest;
mod card;
pub(crate) mod chart;
pub(crate) mod data;
pub(crate) mod escape;
pub(crate) mod explained;
pub(crate) mod gather;
pub(crate) mod html;
pub(crate) mod overview;
pub(crate) mod reliability;
mod scale;
pub(crate) mod text;
pub(crate) mod unjudged;
pub(crate) mod words;

#[cfg(test)]
pub(crate) mod fixture;
#[cfg(test)]
pub(crate) mod xml;

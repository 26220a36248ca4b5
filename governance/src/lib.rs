//! Blueprints, playbooks, plans, and who may do what.
//!
//! Text comes in and is parsed once into types that cannot be wrong; a recommendation becomes a plan with exact patches;
//! the plan is decided on, admitted, and its effect assessed. All of it is pure: the same inputs give the same answer.
//!
//! This crate deliberately knows nothing of clocks (`now` is an argument), of networks and files (it takes names and
//! texts), and of how Kubernetes is spoken to (it makes patches; others send them).
//!
//! What runs at all has passed [`admit::admit`], the only maker of [`admit::Admitted`].
//!
//! Modules in reading order:
//! * [`yaml`], [`condition`], [`template`] — reading text: places in errors, CEL conditions, PromQL templates;
//! * [`blueprint`], [`checks`], [`playbook`] — the three kinds of files;
//! * [`object`], [`binding`] — the whole rule set, [`binding::Governance`], and which service an object belongs to;
//! * [`target`], [`plan`] — from a recommendation to exact patches (the verbs: one private file each);
//! * [`history`], [`decide`] — what governance says of a plan (the rules: one private file each);
//! * [`live`], [`admit`] — whether it may be executed now;
//! * [`assess`] — what it did;
//! * [`utilization`] — how large a service should be.

pub mod admit;
pub mod assess;
pub mod binding;
pub mod blueprint;
pub mod checks;
pub mod condition;
pub mod decide;
pub mod history;
pub mod live;
pub mod object;
pub mod plan;
pub mod playbook;
mod rules;
pub mod target;
pub mod template;
#[cfg(test)]
mod testing;
pub mod utilization;
mod verbs;
pub mod yaml;

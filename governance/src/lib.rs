//! Blueprints, playbooks, plans, and who may do what.
pub mod admit;
pub mod binding;
pub mod blueprint;
pub mod checks;
pub mod condition;
pub mod decide;
pub mod history;
pub mod live;
pub mod plan;
pub mod playbook;
mod rules;
pub mod target;
pub mod template;
mod verbs;
pub mod yaml;

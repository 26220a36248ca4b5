//! Blueprints, playbooks, plans, and who may do what.
pub mod blueprint;
pub mod condition;
pub mod yaml;

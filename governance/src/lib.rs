//! Blueprints, playbooks, plans, and who may do what.
pub mod blueprint;
pub mod checks;
pub mod condition;
pub mod template;
pub mod yaml;

//! Blueprints, playbooks, plans, and who may do what.

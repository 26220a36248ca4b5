//! Redaction, embedding, exact search and the ranking of playbooks.

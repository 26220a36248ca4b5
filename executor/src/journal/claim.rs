//! The gate to acting.

//! The fleet as its users see it.

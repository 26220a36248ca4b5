//! The `bellwether` binary.

mod report;

fn main() {}

//! The product, end to end.

mod house;

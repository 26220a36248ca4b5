//! Tests live in `product.rs`.

//! Anomaly and drift kernels on slices: signals out of numbers.

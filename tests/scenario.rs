//! The whole job on real parts: a Prometheus with history and live scrapes, a PostgreSQL with past runs, a Kubernetes API over HTTP.
//!
//! [`world`] builds these parts; each test below follows one thread through them with the real binary.

mod arrivals;
mod job;
mod world;

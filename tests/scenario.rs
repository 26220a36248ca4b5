//! The whole job on real parts: a Prometheus with history and live scrapes, a PostgreSQL with past runs, a Kubernetes API over HTTP.
//!
//! [`world`] builds these parts; each other module follows one thread through them with the real binary: [`arrivals`] and
//! [`origin`] — what comes in; [`job`] — from a deviation to an outcome; [`governed`] — what is held back.

mod arrivals;
mod governed;
mod job;
mod origin;
mod world;

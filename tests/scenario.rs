//! The whole job on real parts: a Prometheus with history and live scrapes, a PostgreSQL with past runs, a Kubernetes API over
//! HTTP. That API is a real one where `KUBECONFIG` names it, and the simulated one otherwise.
//!
//! [`world`] builds these parts; each other module follows one thread through them with the real binary: [`arrivals`] and
//! [`origin`] — what comes in; [`job`] — from a deviation to an outcome; [`governed`] — what is held back; [`story`] — all of
//! it over the HTTP API, told by one query; [`crashes`] — what a kill -9 leaves.

mod arrivals;
mod crashes;
mod governed;
mod job;
mod origin;
mod story;
mod world;

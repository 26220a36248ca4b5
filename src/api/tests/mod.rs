//! The API in this process: one small world, asked over the router as a client would.

mod act;
mod ask;
mod drift;
mod guard;
mod ingest;
mod jobs;
mod limits;
mod world;

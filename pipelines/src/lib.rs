//! Sources, and the rounds that compose ingest, judge and act.

//! The graph from dataset to endpoint, as of any time, and the correlation of signals into incidents.

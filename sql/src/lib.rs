//! DataFusion over one snapshot of the ledger. The only reader.

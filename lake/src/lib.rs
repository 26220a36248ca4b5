//! The tables of the ledger: schema, append, snapshot, maintain. The only writer.

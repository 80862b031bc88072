"""News for open pages: one look at the ledger a second for all of them."""

"""`understudy ledger`."""

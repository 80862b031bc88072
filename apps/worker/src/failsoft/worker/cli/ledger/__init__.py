"""`failsoft ledger`."""

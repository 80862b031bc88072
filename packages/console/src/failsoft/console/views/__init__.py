"""What pages show, computed from what the ledger keeps; nothing here reads or writes it."""

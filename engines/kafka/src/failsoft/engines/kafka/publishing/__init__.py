"""Records of steps that wait in the ledger's outbox, and their producer (rule 28)."""

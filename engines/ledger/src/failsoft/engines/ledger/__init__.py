"""The engine ledger: the rows of the ledger are the messages, and there is no broker."""

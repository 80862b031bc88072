"""What `failsoft dev` runs: servers, ledger, workers; started again when code changes."""

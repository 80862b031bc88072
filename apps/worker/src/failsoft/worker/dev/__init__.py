"""What `failsoft dev` runs: servers, a ledger, and workers that restart when code changes."""

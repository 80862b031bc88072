"""The interfaces to a ledger and to an engine; imports `records` and below."""

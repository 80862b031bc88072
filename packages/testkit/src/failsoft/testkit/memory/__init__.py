"""A whole Failsoft in memory: a ledger and engines that break, a clock that stands still."""

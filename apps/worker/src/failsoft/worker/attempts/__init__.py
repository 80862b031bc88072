"""Attempts in a worker: admission, slots, child processes, leases; imports `wiring` and below."""

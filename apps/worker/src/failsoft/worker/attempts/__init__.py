"""Where attempts run: admission, slots, child processes, leases; imports `wiring` and below."""

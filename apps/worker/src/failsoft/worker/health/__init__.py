"""What probes are answered from: a supervisor's report, its HTTP server, its state file, systemd.

Imports `processes` and below: nothing here opens a ledger or an engine, and no probe uses a server.
"""

"""What a ledger promises to a console and to an exporter."""

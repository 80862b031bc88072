"""What a console and an exporter read of the ledger, and how they act."""

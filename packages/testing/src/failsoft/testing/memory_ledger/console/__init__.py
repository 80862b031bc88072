"""What a console reads of a ledger in memory, and how it acts."""

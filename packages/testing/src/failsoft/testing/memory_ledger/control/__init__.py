"""What people do to the jobs, the engines and the routes of a ledger in memory."""

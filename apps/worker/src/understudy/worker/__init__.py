"""The processes of Understudy: workers, maintenance, settings, wiring, the command line."""

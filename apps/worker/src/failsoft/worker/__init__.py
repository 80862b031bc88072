"""The processes of Failsoft: workers, maintenance, settings, wiring, the command line."""

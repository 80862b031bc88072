"""Which share of the jobs each engine gets first, and the guard of a share (rules 23 to 26)."""

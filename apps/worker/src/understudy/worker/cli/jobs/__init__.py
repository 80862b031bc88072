"""`understudy jobs` and `understudy dispatch`."""

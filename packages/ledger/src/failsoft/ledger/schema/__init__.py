"""The tables and how their rows are read; imports `database`."""

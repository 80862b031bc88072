"""`failsoft jobs` and `failsoft dispatch`."""

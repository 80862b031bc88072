"""`failsoft routes`."""

"""A shop: orders are placed in a request, and carried out by jobs."""

"""The options of a dispatch, and what is refused in them."""

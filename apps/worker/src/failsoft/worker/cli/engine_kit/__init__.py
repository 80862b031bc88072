"""`failsoft engines new` and `failsoft engines test`, for authors of engines."""

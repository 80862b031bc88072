"""How engines are plugged in: what a plug-in is, and how it is found; imports `offering`."""

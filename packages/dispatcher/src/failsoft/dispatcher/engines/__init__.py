"""The engine adapters, one engine a file; found through the entry points `failsoft.engines`."""

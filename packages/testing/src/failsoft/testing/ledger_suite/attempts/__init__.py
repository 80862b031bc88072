"""Offers, claims, steps, conclusions and rescues."""

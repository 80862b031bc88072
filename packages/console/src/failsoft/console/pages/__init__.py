"""The screens: each module has the handlers of one, and what they read."""

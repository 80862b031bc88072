"""Jobs of the `scheduled` queue: what a clock starts."""

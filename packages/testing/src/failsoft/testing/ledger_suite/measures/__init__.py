"""What processes count, and what an exporter reads."""

"""A module that no setting allows: to import it fails."""

raise RuntimeError("imported")

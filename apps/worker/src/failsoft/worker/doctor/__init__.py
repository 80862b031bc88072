"""What `failsoft doctor` looks at: a list of checks, each bounded, each with its remedy."""

"""The checks of `failsoft doctor`, each with a time limit and a remedy."""

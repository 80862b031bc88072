"""The jobs of the pipeline, a module for each subject; `FAILSOFT_JOBS` names them."""

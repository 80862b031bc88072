"""The jobs of the shop, a module for each subject; `FAILSOFT_JOBS` names them for the workers."""

"""`failsoft adopt scan`: what there is to adopt in a program, read and never rewritten."""

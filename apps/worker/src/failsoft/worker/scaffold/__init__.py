"""New projects and new engines from templates: the texts are files, with words to fill in."""

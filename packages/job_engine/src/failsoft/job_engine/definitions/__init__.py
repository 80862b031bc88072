"""Jobs with their code: `@job`, the handlers, the catalogue; imports `steps` and below."""

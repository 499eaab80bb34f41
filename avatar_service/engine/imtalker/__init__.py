"""IMTalker (arXiv 2511.22167): the neural engine. Only what is in here, and only when chosen, imports torch."""

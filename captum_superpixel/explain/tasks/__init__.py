"""``--task``: what of a photograph is explained where that is no class of the whole."""

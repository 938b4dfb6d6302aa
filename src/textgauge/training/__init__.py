"""From encoded texts to a model with the weights of its best epoch."""

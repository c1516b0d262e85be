"""Floor 1: the mathematics of diffusion. It takes any function for a network and knows none."""

"""Floor 0: shapes, devices, seeds and checks. Nothing here knows what diffusion is."""

"""Diffusion, step by step: the library that serves the notebooks."""

"""Diffusion, step by step: the library that serves the notebooks.

Every model here looks at x_t = alpha(t) x_0 + sigma(t) eps.
Every network predicts some mix a x_0 + b eps; two equations, two unknowns, so x_0 and eps follow.
Every sampler asks a denoiser for x_0 and moves to a smaller t; everything else wraps a denoiser
and gives back a denoiser.

Floors, from the ground up; a file imports only from floors below its own:
core · nn and diffusion (which do not know each other) · models and recipes · data, train, weights,
metrics, plot · exercises and widgets · cli.
"""

"""Tile rasteriser for machines without a GPU: numba kernels on an explicit 16-lane SIMD type, with analytic gradients."""

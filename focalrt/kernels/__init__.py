"""Numba kernels: pure functions of arrays. Types, checks and meaning live in their callers."""

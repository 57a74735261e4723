"""Compiled inner loops: one formula a function, numba and numpy only.

Every factor here is *component-first*: coefficients are ``(k, n)`` and components are ``(k, p)``, so that the last
axis runs over the *items* (observations or pixels) whose small problems are independent of each other, and one
instruction serves several of them. Shapes, dtype and contiguity are settled by the caller.
"""

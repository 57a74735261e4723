"""The engine: arrays in, frozen results out; no units, no files, no printing.

Inside the engine a problem is two-dimensional, ``(n observations, p pixels)``, and factors are component-first:
coefficients ``(k, n)``, components ``(k, p)``.
"""

"""Long work: units that run side by side, results that are written whole and found again, and what machine this is.

Others use `parallel.run_units`, the writers and keys of `cache`, and `machine`; only `parallel` uses `cluster`.
"""

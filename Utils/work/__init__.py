"""Long work: units that run side by side, results that are written whole and found again, and what this machine has.

Other rooms use `parallel.run_units`, the writers and keys of `cache`, and `machine`. Only `parallel` uses `cluster`.
"""

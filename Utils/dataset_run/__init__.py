"""What belongs to a run on a dataset: its check, steps 1 to 4, its folder of results, tables over runs.

Steps 1 to 4 are in `data`. main.py uses all of it. Utils/across uses `data`, `folder` and `summaries`. `tables`
compares tables without any run.
"""

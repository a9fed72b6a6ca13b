"""Long work: units that run at the same time, results that are written whole and found again, facts about the machine.

Other rooms use `parallel.run_units`, the writers and keys of `cache`, and `machine`. Only `parallel` uses `cluster`.
`compiling` and `lanes` are what the rooms with compiled code share (`tvl1`, `engine`).
"""

"""The methods of --method: a table of their facts (`table.METHODS`), and what each does in the steps (`steps.Steps`).

MEAN is the steps at the top level themselves (`mean.py`). Each other method has a room of its own, as Utils/softnet is.
"""

"""Methods without training, as a comparison: what learning adds is the distance to them (docs/methods.md).

Each module here has the `STEPS` of one method of Utils/methods/table.py.
"""

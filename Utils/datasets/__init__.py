"""What differs between the datasets: the table of them, and the readers of their workbooks.

Others use `table.DATASETS` and `table.Dataset`, the types and readers of `annotations`, and `workbooks` to read cells.
"""

"""What differs between the datasets: the table of datasets, and the readers of their annotation workbooks.

Other rooms use `table.DATASETS` and `table.Dataset`, the types of `annotations`, and `workbooks` to read cells.
"""

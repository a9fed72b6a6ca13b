"""A dataset that is described by tables of annotations instead of an entry of Utils/datasets/table.py: --annotations.

`dataset.study_dataset` makes a `Dataset` of CSV and ELAN files; every step takes it like any other. main.py and
Utils/across use it; Utils/across also uses `videos`.
"""

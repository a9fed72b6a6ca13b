"""What belongs to a run on a dataset: the check before it, its folder of results, and the curves of its report.

main.py uses `check.check_dataset` and the functions of `folder`. Nothing else imports this room.
"""

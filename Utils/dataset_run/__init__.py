"""What a run on a dataset leaves: its folder, the curves of its report, and the check before a run.

main.py uses `folder.write_run` and `check.check_dataset`; nothing else imports this room.
"""

"""Runs across datasets: train on several of them, test on another one, and files for the Grand Challenge.

main.py uses `run.run_across` and `validate.check_submission`.
"""

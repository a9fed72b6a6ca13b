"""What the parts of MEAN are good for: --ablate runs it without one of them, or with another value.

main.py uses `table.ABLATIONS` and `table.variants_of`.
"""

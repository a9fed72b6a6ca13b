"""Values that are chosen inside each fold instead of fixed: --tune nested.

main.py uses `nested.choose` and `nested.tuned`, and `table.format_tuning`.
"""

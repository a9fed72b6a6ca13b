"""From two tables, predictions and ground truth, to figures: a pure function, without TensorFlow.

Others use `evaluate.evaluate`, the tables of `tables`, `text.format_metrics`, and single metrics of `metrics`.
"""

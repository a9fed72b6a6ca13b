"""Computes the metrics from two tables, predictions and annotations. It is a pure function and needs no TensorFlow.

Other rooms use `evaluate.evaluate`, `intervals.spread_of_mean`, `difference.differences`, the tables of `tables`,
`text.format_metrics`, and single metrics of `metrics`.
"""

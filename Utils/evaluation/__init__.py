"""Computes the figures from two tables, predictions and ground truth: a pure function, without TensorFlow.

Other rooms use `evaluate.evaluate`, the tables of `tables`, `text.format_metrics`, and single metrics of `metrics`.
"""

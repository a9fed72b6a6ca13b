"""Synthetic faces: a renderer, and a generator of annotated clips, for tests, demonstrations and timing.

It contains no picture, scan or model of a real person. With it every step of the pipeline can be run and checked
against known motion. It is no evidence about the micro-expressions of people. Other rooms use `dataset.make_demo`.

Numbers without a name in the painting functions are positions and sizes in face units (see `canvas.py`), factors on
colours, and strengths of blends. They only shape the picture.
"""

"""Faces from numbers: a procedural renderer and generator of annotated clips, for tests, demonstrations and timing.

No picture, scan or model of a real person is in it. What it is good for: every step of the pipeline can be run and
checked against known motion. What it is not: evidence about micro-expressions of people.
"""

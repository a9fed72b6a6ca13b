"""Faces in images: dlib's detector and landmarks, reading and writing images, rectangles.

Others use all public names of `landmarks`, `images` and `rectangles`.
"""

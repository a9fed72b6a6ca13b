"""Faces in images: dlib's detector and landmarks, reading and writing images, rectangles.

Other rooms may use all public names of `landmarks`, `images` and `rectangles`.
"""

"""The user's own videos: they are read, faces are followed and scored, expressions are spotted, results are written.

main.py uses `run`, `weights`, `paths` and others. Nothing else imports this room.
"""

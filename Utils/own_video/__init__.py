"""The user's own videos: they are read, faces are followed and scored, expressions are spotted, results are written.

main.py uses `run`, `weights`, `paths` and others; users call `analyse`. Nothing else imports this room.
"""

from Utils.own_video.analyse import analyse

__all__ = ["analyse"]

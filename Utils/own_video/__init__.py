"""The user's own videos: read, follow the faces, score, spot, and write what people look at.

main.py uses `run`, `weights` and `video_files`; nothing else imports this room.
"""

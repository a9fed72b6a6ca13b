"""The user's own videos: they are read, faces are followed and scored, expressions are spotted, results are written.

main.py uses `command`, and users call `analyse`. Other rooms use `video_files`, `image_folders` and `weights`
(Utils/study, Utils/across), and the curves of the second look (Utils/untrained).
"""

from Utils.own_video.analyse import analyse

__all__ = ["analyse"]

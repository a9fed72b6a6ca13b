import os

os.environ.setdefault("OPENCV_IO_MAX_IMAGE_PIXELS", str(2**26))  # 64 megapixels; OpenCV reads it when it loads

__version__ = "1.1.0"  # also in CITATION.cff and CHANGELOG.md

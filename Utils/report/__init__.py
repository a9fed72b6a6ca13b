"""The pages people look at: one self-contained HTML report per run or video, and an index over many of them.

`contents.py` says what goes in, `pages.py` writes it; what it looks like and does stands in the .html, .css and .js
files. A page holds everything it needs, loads nothing, and runs only the scripts whose hashes it names.
"""

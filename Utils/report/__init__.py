"""What users look at: figures, and an HTML report for each run or video, with an index over several of them.

`contents.py` decides what is in a report, `pages.py` writes it, and the .html, .css and .js files define how it looks
and what it does. A page contains everything that it needs, loads nothing, and runs only scripts whose hashes it names.
"""

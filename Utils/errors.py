"""The one kind of error that is the user's to mend: reported as a single line, exit code 2, no traceback."""


class InputError(Exception):
    """Something the user gave cannot be used.

    The message is one line: what is wrong, where (file, sheet, row, frame), and what to do about it.
    """

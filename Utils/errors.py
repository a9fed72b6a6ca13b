"""The one kind of error that is the user's to mend: reported as a single line, exit code 2, no traceback."""

from __future__ import annotations

import re

UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")  # what a terminal obeys, and what is no Unicode


class InputError(Exception):
    """Something the user gave cannot be used.

    The message is one line: what is wrong, where (file, sheet, row, frame), and what to do about it.
    """


def shown(text: object) -> str:
    """A path or a message as one line, whatever characters names have in them."""
    return UNPRINTABLE.sub(lambda match: ascii(match[0])[1:-1], str(text))

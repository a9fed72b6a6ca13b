"""The error for input that the user can fix. It is reported as one line, with exit code 2 and without a traceback."""

from __future__ import annotations

import re

# Control characters, which a terminal would obey, and surrogates, which are not valid Unicode text
UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
LONGEST_REASON = 200  # characters of a library's message that are shown


class InputError(Exception):
    """Something that the user gave cannot be used.

    The message is one line: what is wrong, where (file, sheet, row, frame), and what to do about it.
    """


def shown(text: object) -> str:
    """A path or a message as one printable line. Characters that cannot be shown become escapes such as `\\n`."""
    return UNPRINTABLE.sub(lambda match: ascii(match[0])[1:-1], str(text))


def reason_of(error: BaseException) -> str:
    """A library's message on one line, at most `LONGEST_REASON` characters; the error's type if it has no message."""
    return " ".join(str(error).split())[:LONGEST_REASON] or type(error).__name__

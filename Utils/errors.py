"""The error for input that the user can fix. It is reported as one line, with exit code 2 and without a traceback."""

from __future__ import annotations

import re

# Control characters, which a terminal would obey, and surrogates, which are not valid Unicode text
UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")


class InputError(Exception):
    """Something that the user gave cannot be used.

    The message is one line: what is wrong, where (file, sheet, row, frame), and what to do about it.
    """


def shown(text: object) -> str:
    """A path or a message as one printable line. Characters that cannot be shown become escapes such as `\\n`."""
    return UNPRINTABLE.sub(lambda match: ascii(match[0])[1:-1], str(text))

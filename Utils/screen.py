"""What the terminal shows between the steps."""

from __future__ import annotations


def heading(text: str) -> None:
    """Print the title of a step."""
    print(f"\n{text}", flush=True)

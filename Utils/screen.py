"""What the terminal shows between the steps and at the end."""

from __future__ import annotations

from Utils.errors import shown


def heading(text: str) -> None:
    """Print the title of a step."""
    print(f"\n{text}", flush=True)


def print_lines(*remarks: str) -> None:
    """Print remarks, one on a line."""
    for remark in remarks:
        print(f"  - {shown(remark)}")


def print_memory(workers) -> None:
    """Print the peak memory of this process and of its workers, where it is known."""
    if report := workers.memory_report():
        print(f"\n{report}")

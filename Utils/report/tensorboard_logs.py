"""Writes the TensorBoard logs of a training from its histories, without TensorFlow."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from Utils.work.cache import atomic_file

# TensorBoard recognises its files by "tfevents". The name is always the same, so that writing again replaces the file.
EVENT_FILE = "events.out.tfevents.mean"
VERSION = "brain.Event:2"  # of TensorBoard's format, in the first record of each file

# Name in a history -> tag in TensorBoard
TAGS = {
    "spot_loss": "spot/loss",
    "spot_mae": "spot/mae",
    "recog_loss": "recog/loss",
    "recog_accuracy": "recog/accuracy",
}
TAGS |= {f"val_{name}": f"{tag}_held_out" for name, tag in TAGS.items()}


def write_tensorboard(folder: Path, histories: Mapping[str, Mapping[str, Sequence[float]]]) -> None:
    """Write one TensorBoard run per held-out subject. `tensorboard --logdir <folder>` shows them.

    Parameters
    ----------
    folder : Path
        The runs are written to `<folder>/<subject>/`.
    histories : dict of str to dict of str to list of float
        Held-out subject -> name -> one value per epoch. The tag of a name is that of `TAGS`, or the name itself. The
        step is the epoch, from 1.
    """
    for subject, history in histories.items():
        write_events(Path(folder) / subject / EVENT_FILE, {TAGS.get(name, name): v for name, v in history.items()})


def write_events(path: Path, scalars: Mapping[str, Sequence[float]]) -> None:
    """Write one event file. The file appears whole or not at all.

    The records are made here, because `tensorboard.summary.Writer` imports TensorFlow if that is installed.

    Parameters
    ----------
    path : Path
    scalars : dict of str to sequence of float
        Tag -> one value per step, steps from 1. All have the present time.
    """
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.summary.writer.record_writer import RecordWriter

    now = time.time()
    with atomic_file(path) as scratch, scratch.open("wb") as file:
        writer = RecordWriter(file)
        writer.write(Event(wall_time=now, file_version=VERSION).SerializeToString())
        for step in range(1, max(map(len, scalars.values()), default=0) + 1):
            values = [
                Summary.Value(tag=tag, simple_value=float(series[step - 1]))
                for tag, series in scalars.items()
                if step <= len(series)
            ]
            writer.write(Event(wall_time=now, step=step, summary=Summary(value=values)).SerializeToString())

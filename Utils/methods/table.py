"""The table of methods: every fact that differs between them and is needed before anything is computed.

To add a method, add an entry here and a room with its `STEPS` (steps.py). Importing this module loads no library.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass, field

from Utils.settings import UNTRAINED

NOTHING_TO_TRAIN = ("train", "weights_dir")  # flags that an untrained method does not use


@dataclass(frozen=True)
class Method:
    """One method.

    Attributes
    ----------
    name : str
        The name on the command line. Authors and years: docs/methods.md.
    module : str
        The module that has its `STEPS`. It is only imported when they are needed.
    weights_name : str
        The folder of weights in the folder of a run.
    recognises : bool
        Whether it also recognises emotions.
    short_videos : bool
        Whether it can run on datasets of short videos, with one expression each.
    defaults : mapping
        Flags -> their values if they are not given, where these are not MEAN's.
    without : tuple of str
        Flags that the method does not use.
    own_steps : object
        Its steps, if they are not those of `module` (ablations).
    """

    name: str
    module: str
    weights_name: str
    recognises: bool
    short_videos: bool
    defaults: Mapping[str, object] = field(default_factory=dict)
    without: tuple[str, ...] = ()
    own_steps: object = None

    @property
    def trained(self) -> bool:
        """Whether it has weights."""
        return self.name not in UNTRAINED

    @property
    def steps(self):
        """What it does in every step: `Utils.methods.steps.Steps`."""
        return self.own_steps or importlib.import_module(self.module).STEPS


METHODS: dict[str, Method] = {
    m.name: m
    for m in (
        Method(
            name="MEAN",
            module="Utils.methods.mean",
            weights_name="MEAN_Weights",
            recognises=True,
            short_videos=True,
        ),
        Method(
            name="SOFTNet",
            module="Utils.softnet.steps",
            weights_name="SOFTNet_Weights",
            recognises=False,
            short_videos=False,
            defaults={"batch_size": 12},
            without=("ratio", "epochs_recog", "classes"),
        ),
        Method(
            name="flow",
            module="Utils.untrained.flow",
            weights_name="",
            recognises=False,
            short_videos=False,
            without=(*NOTHING_TO_TRAIN, "classes"),
        ),
        Method(
            name="displacement",
            module="Utils.untrained.displacement",
            weights_name="",
            recognises=False,
            short_videos=False,
            without=(*NOTHING_TO_TRAIN, "p", "flow", "classes"),
        ),
    )
}

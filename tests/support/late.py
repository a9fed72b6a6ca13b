"""Modules that are loaded when they are needed.

TensorFlow takes 3 seconds to load. All test modules are loaded in each process that runs tests, and most processes run
no test that needs it.
"""

from __future__ import annotations

from importlib import import_module

from Utils.networks.backend import seed_keras


class LateModule:
    """Stands for a module that loads Keras. The first use of one of its names sets Keras up and loads the module."""

    def __init__(self, name: str) -> None:
        self._name, self._module = name, None

    def __getattr__(self, name: str):
        if name.startswith("_"):  # asked by pytest, which looks at all that is in a test module
            raise AttributeError(name)
        if self._module is None:
            seed_keras(0)
            self._module = import_module(self._name)
        return getattr(self._module, name)

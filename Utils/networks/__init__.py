"""Weight files, MEAN's networks with their weights, the set-up of Keras, and a fast convolution for it.

Other rooms use `mean`, the files of a fold from `weights`, one file from `files`, `backend` and `phased_conv`.
"""

from Utils.networks import backend  # noqa: F401  whatever of this room is loaded, Keras is set up before it is

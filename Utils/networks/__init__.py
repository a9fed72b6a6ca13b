"""What training and prediction need in addition to the networks themselves (define_model.py).

These are the set-up of Keras, compiled copies of networks, a fast convolution, and weight files.

Other rooms use `backend`, `phased_conv`, `compiled.train`, `compiled.predict`, and the files of a fold from `weights`.
"""

from Utils.networks import backend  # noqa: F401  whatever of this room is loaded, Keras is set up before it is

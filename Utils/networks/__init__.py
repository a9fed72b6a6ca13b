"""What training and prediction need in addition to the networks themselves (define_model.py).

These are the set-up of Keras, compiled copies of networks, a fast convolution, and weight files.

Other rooms use `backend`, `phased_conv`, `compiled.train`, `compiled.predict`, and the files of a fold from `weights`.
"""

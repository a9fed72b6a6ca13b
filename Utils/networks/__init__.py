"""What training and prediction need besides the networks themselves (define_model.py): Keras's set-up, compiled copies,
the fast convolution, and weight files.

Others use `backend`, `compiled.train` and `compiled.predict`, `phased_conv`, and the files of a fold from `weights`.
"""

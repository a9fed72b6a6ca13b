"""What training and prediction need besides the networks themselves (define_model.py): Keras's set-up, compiled copies,
the fast convolution, and weight files.

Other rooms use `backend`, `phased_conv`, `compiled.train`, `compiled.predict`, and the files of a fold from `weights`.
"""

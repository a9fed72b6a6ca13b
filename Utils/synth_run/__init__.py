"""Makes the weights of the user's own videos: renders SYNTH, trains MEAN's networks on it, and fits the verifier.

It is a command, `python -m Utils.synth_run`; other rooms import nothing from it.
"""

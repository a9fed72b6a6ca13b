"""SOFTNet, the second method: what its published code computes where it differs from MEAN (docs/softnet.md).

`features.py` has its features, `training.py` its labels, samples and training, `network.py` its network and `spotting.py`
the way from scores to intervals. Utils/methods puts them together.
"""

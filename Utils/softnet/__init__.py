"""SOFTNet, the second method: what its published code computes where it differs from MEAN (docs/softnet.md).

`features.py` has its features, `training.py` its labels and samples, `network.py` its network, `spotting.py` the way
from scores to intervals, and `weights.py` where its weights are. `steps.py` puts them together for Utils/methods.
"""

"""Where the time of a training step truly goes.

    found = profile(ProfileConfig(data="data", size=224, batch_size=16), model, make_loaders)
    print(found.table())          # milliseconds per step and phase, real beside cached batches
    profile_figure(found)         # the same as bars, a matplotlib figure

`model` and `make_loaders` are those of a Trainer. On the command line: python -m mdlib profile DATA.
"""

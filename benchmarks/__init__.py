"""What ireko promises about speed and size, each figure measured beside its peer or its limit in one run.

A figure is a file in `figures/`. It says how to get ready and gives back one or two sides, which are functions that measure once;
`measure` calls them in turn, so that whatever else the machine does meets both, and compares the medians with the goal.
"""

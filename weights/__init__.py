"""The shelf: the weights that ship with their cards and logs, and what was measured of them. `lab` made it."""

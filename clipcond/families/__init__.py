"""Which pipelines are known: one contract, the families by kind of encoder, and their text encoders found and loaded."""

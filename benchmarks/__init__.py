"""Speed and memory, measured: each module is a program that writes what its docstring says."""

"""One file a row: what it measures is its docstring, `rows(device)` measures it."""

"""One measurement a module; each is a command of its own."""

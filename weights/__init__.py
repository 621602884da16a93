"""What ships, and the scripts that made and measured it."""

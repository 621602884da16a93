"""Generated pictures on disk: single PNGs that say how they were made, and one labelled grid to look at."""

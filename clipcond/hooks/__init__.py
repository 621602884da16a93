"""What goes on inside the denoiser: schedules, composition, guidance, regions, attention."""

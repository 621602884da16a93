"""What acts inside the denoiser while a pipeline draws: schedules, composition, guidance, regions, attention maps."""

"""What acts inside the denoiser, on pictures of the shipped model: schedules, AND, guidance, regions, drafts.

    python -m weights.lab.measure.steps                    # draws, measures, writes the JSON, the plot and the page
    python -m weights.lab.measure.steps --only guiding     # one part again, the others from the JSON
    python -m weights.lab.measure.steps --page-only        # the plot and the page again, from the JSON

Writes weights/steps.json, docs/steps.md (from weights/lab/templates/steps.md) and docs/steps.png. The prompts are held out,
the oracle says what a picture shows, and all intervals are over prompts.
"""

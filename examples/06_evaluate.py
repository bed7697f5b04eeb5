"""Measure an edited scene against views as they should look."""

import scene_depth as sd

truth = sd.read_scene("scenes/table/removed", split="test")
splats = sd.read_splats("scenes/table/splats.spz")
scores = sd.evaluate_scene(splats, truth, "scenes/table/masks", max_size=160)
for score in scores:
    print(score)

"""Fit splats to posed photos. COLMAP folders and transforms.json are read by the same call."""

import scene_depth as sd

scene = sd.read_scene("scenes/table", split="train")
config = sd.FitConfig(steps=100, max_size=160)  # 3000 steps and 480 pixels give a scene to work with
result = sd.fit(scene, config=config, seed=0)

print(result)
sd.write_splats("fitted.ply", result.splats)

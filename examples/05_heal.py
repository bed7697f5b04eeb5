"""Remove an object from a splat scene and repair the hole: the whole heal from files in six lines."""

import scene_depth as sd

scene = sd.read_scene("scenes/table", split="train")
splats = sd.read_splats("scenes/table/splats.spz")
config = sd.HealConfig(steps=30, most_references=1)  # the defaults take half a minute and look better
result = sd.heal(scene, splats, sd.Sphere((0, 0, 0.9), 0.2), max_size=160, config=config)

print(result)
sd.write_splats("healed.ply", result.splats)
result.show().save("healed.png")

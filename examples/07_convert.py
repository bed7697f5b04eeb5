"""Write splats for other tools: .ply, compressed .ply, .spz or .splat, by the name of the file."""

import scene_depth as sd

splats = sd.read_splats("scenes/table/splats.spz")
near = splats.select((splats.means - splats.means.median(dim=0).values).norm(dim=1) < 2)
for name in ("near.ply", "near.compressed.ply", "near.spz", "near.splat"):
    sd.write_splats(name, near)
    print(name, sd.read_splats(name))

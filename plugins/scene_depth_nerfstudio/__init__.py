"""Front end of nerfstudio: the methods ``scene-splat`` and ``scene-heal`` of ``ns-train`` and the data parser ``scene-data``.

nerfstudio imports this package while its own modules are half imported, so that nothing is imported here. What it registers
lies in ``scene_splat``, ``scene_heal`` and ``scene_data``, which import no more than nerfstudio and what this package needs.
"""

__all__: list[str] = []

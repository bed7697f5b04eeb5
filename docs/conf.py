"""How Sphinx builds the documentation: ``make docs``, or ``sphinx-build -W docs OUT``. Nothing is fetched."""

from __future__ import annotations

import os
import sys
from importlib.metadata import version as installed_version
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))  # for the extension beside this file

project = "scene_depth"
author = "the scene_depth authors"
version = release = installed_version("scene-depth")
copyright = author

extensions = ["sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode", "myst_nb", "generated_pages"]
exclude_patterns = ["generated/*.tmp", "generated/notebooks/README.md"]

smartquotes = False  # -- is how options begin

html_theme = "furo"
html_title = f"scene_depth {release}"
html_static_path = ["static"]
html_css_files = ["wide_tables.css"]
html_show_sourcelink = False
html_show_copyright = False

myst_enable_extensions = ["colon_fence", "deflist", "attrs_inline"]
myst_heading_anchors = 3
# Notebooks are shown with the outputs that they hold; `make docs NOTEBOOKS=auto` runs those that hold none.
nb_execution_mode = os.environ.get("SCENE_DEPTH_NOTEBOOKS", "off")
nb_execution_timeout = 1800
nb_execution_raise_on_error = True

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
# Names that stand for long types are shown as they are written.
ALIASES = ["ArrayLike", "NDArray", "Array", "Mask", "OnProgress", "Selection", "PlainFunction"]
autodoc_type_aliases = {name: name for name in ALIASES}
autodoc_default_options = {"members": True, "undoc-members": False}
autodoc_preserve_defaults = True
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True
python_maximum_signature_line_length = 88

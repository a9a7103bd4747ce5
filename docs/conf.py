"""How the documentation is built: Sphinx with Markdown (MyST), no outside assets."""

from importlib.metadata import version as _version

project = "Chapiteau"
copyright = "the Chapiteau authors"
version = release = _version("chapiteau")

extensions = ["myst_parser", "sphinx_copybutton", "sphinx_llm_friendly"]
myst_enable_extensions = ["colon_fence", "deflist", "fieldlist"]
myst_heading_anchors = 3
source_suffix = {".md": "markdown"}
exclude_patterns = ["_build"]
nitpicky = True
# Of a console block, the commands are copied without what they print.
copybutton_prompt_text = "$ "
copybutton_copy_empty_lines = False
llm_friendly_llms_full_txt_exclude = ["decisions/*"]
suppress_warnings = ["misc.highlighting_failure"]  # console blocks show output of every kind

html_theme = "furo"
html_title = "Chapiteau"
html_static_path: list[str] = []
html_show_sourcelink = False
html_copy_source = False

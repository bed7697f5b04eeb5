"""A Sphinx extension that writes the pages whose content is code: commands, inpainters, measurements, notebooks.

They go to ``docs/generated``, which is not kept in the repository. A page is only written when it changed, so that Sphinx builds
what changed and nothing else.
"""

from __future__ import annotations

import inspect
import re
import warnings
from collections.abc import Iterator, Mapping
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tyro

from scene_depth.cli.app import GROUP, STYLE, TASKS
from scene_depth.color.registry import IMAGE_INPAINTERS
from scene_depth.depth.monocular import MONOCULAR_MODELS
from scene_depth.depth.registry import DEPTH_INPAINTERS
from scene_depth.registry import Option, Registry, load_object

if TYPE_CHECKING:
    from sphinx.application import Sphinx
    from sphinx.config import Config

DOCS = Path(__file__).resolve().parent
ROOT = DOCS.parent
GENERATED = DOCS / "generated"
REGISTRIES = {
    "Depth inpainters": (DEPTH_INPAINTERS, "`--inpainter NAME`, `sd.load_depth_inpainter(NAME)`"),
    "Image inpainters": (IMAGE_INPAINTERS, "`--color NAME`, `sd.load_image_inpainter(NAME)`"),
    "Monocular depth models": (MONOCULAR_MODELS, "`--prior NAME`, `sd.load_monocular_model(NAME)`"),
}
LIBRARY = "scene-depth"


def setup(app: Sphinx) -> dict[str, Any]:
    """Writes the pages before Sphinx looks for sources."""
    app.connect("config-inited", write_pages)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def write_pages(app: Sphinx, config: Config) -> None:
    """Writes all generated pages, and takes away those that are no more."""
    pages = dict([*command_pages(), inpainter_page(), *result_pages(), notebook_page()])
    for name, text in pages.items():
        _write_if_changed(GENERATED / name, text.encode())
    copies = {f"notebooks/{path.name}": path for path in find_notebooks()}
    copies |= {f"results/pictures/{path.name}": path for path in (ROOT / "benchmarks/pictures").iterdir()}
    for name, path in copies.items():
        _write_if_changed(GENERATED / name, path.read_bytes())
    kept = {*pages, *copies}
    for path in [path for path in GENERATED.rglob("*") if path.is_file()]:
        if path.relative_to(GENERATED).as_posix() not in kept:
            path.unlink()


def _write_if_changed(path: Path, content: bytes) -> None:
    if not path.is_file() or path.read_bytes() != content:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def command_pages() -> Iterator[tuple[str, str]]:
    """One page a command, made from its parser, and the list of them by task."""
    found = {entry.name: entry for entry in entry_points(group=GROUP) if entry.dist is not None and entry.dist.name == LIBRARY}
    listed = {name for names in TASKS.values() for name in names}
    tasks = {**TASKS, "more": tuple(sorted(set(found) - listed))}
    lines = [
        "# Commands",
        "",
        "Every option of every command, as its own `--help` says it. `scene-depth COMMAND --help` shows the same.",
        "",
    ]
    for task, names in tasks.items():
        if present := [name for name in names if name in found]:
            toctree = ["```{toctree}", f":caption: {task[0].upper()}{task[1:]}", ":maxdepth: 1", "", *present, "```", ""]
            lines += toctree
    yield "commands/index.md", "\n".join(lines)
    for name, entry in found.items():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            parser = tyro.extras.get_parser(entry.load(), prog=f"{LIBRARY} {name}", config=STYLE)
        yield f"commands/{name}.md", "\n".join([f"# {name}", "", *_describe_parser(parser, f"{LIBRARY} {name}", 2)])


def _describe_parser(parser: Any, program: str, level: int) -> Iterator[str]:
    """The description of a parser, its groups of options as definition lists, and its subcommands one level down.

    The parser is tyro's own copy of ``argparse.ArgumentParser``.
    """
    positional = [action for group in parser._action_groups for action in group._group_actions if not action.option_strings]
    subcommands = [action for action in positional if isinstance(action.choices, Mapping)]
    words = ["COMMAND"] if subcommands else [str(action.metavar or action.dest).upper() for action in positional]
    yield from ["```text", " ".join([program, "[OPTIONS]", *words]), "```", "", _escape(parser.description or ""), ""]
    for group in parser._action_groups:
        actions = [action for action in group._group_actions if action.help and "--help" not in action.option_strings]
        if not actions:
            continue
        title = (group.title or "options").removesuffix(" options")
        yield from [f"{'#' * level} {title[0].upper()}{title[1:]}", ""]
        if group.description:
            yield from [_escape(group.description), ""]
        for action in actions:
            yield from _describe_action(action)
    for action in subcommands:
        for name, inner in action.choices.items():
            yield from [f"{'#' * level} {program.partition(' ')[2]} {name}", ""]
            yield from _describe_parser(inner, f"{program} {name}", level + 1)


def _describe_action(action: Any) -> Iterator[str]:
    metavar = " ".join(action.metavar) if isinstance(action.metavar, tuple) else action.metavar
    names = ", ".join(action.option_strings)
    lines = re.sub(r" \(default: (None)?\)$", "", str(action.help).strip()).splitlines()
    yield f"`{' '.join(filter(None, (names, metavar)))}`"
    yield f": {_escape(lines[0])}"
    yield from (f"  {_escape(line)}" for line in lines[1:])
    yield ""


def _escape(text: str) -> str:
    """Plain text as Markdown: nothing in it is markup but words between double backticks, which are code."""
    parts = re.split(r"(``.+?``|`[^`]+`)", text)
    return "".join(part if part.startswith("`") else re.sub(r"([\\*_{}\[\]<>#|~])", r"\\\1", part) for part in parts)


def inpainter_page() -> tuple[str, str]:
    """Everything that can be asked for by name, with its options and their defaults."""
    lines = ["# Inpainters and models by name", ""]
    lines += ["Options are written behind the name, `NAME[KEY=VALUE,...]`, or given as `--inpainter-options KEY=VALUE ...`.", ""]
    for title, (registry, usage) in REGISTRIES.items():
        lines += [f"## {title}", "", usage, ""]
        lines += [line for name in registry.built_in for line in _describe_entry(registry, name)]
    return "inpainters.md", "\n".join(lines)


def _describe_entry(registry: Registry, name: str) -> Iterator[str]:
    loaded = load_object(registry.built_in[name], name)
    entry = next(entry for entry in registry.available() if entry.name == name)
    summary = (inspect.getdoc(loaded) or "").partition("\n\n")[0].replace("\n", " ")
    needs = " Needs weights." if entry.needs_weights else ""
    yield from [f"### {name}", "", f"{_escape(summary)}{needs}", ""]
    if entry.options:
        yield from [f"Options: {', '.join(_describe_option(option) for option in entry.options)}.", ""]


def _describe_option(option: Option) -> str:
    if option.default is inspect.Parameter.empty:
        return f"`{option.name}` (must be given)"
    if option.default is not None and not isinstance(option.default, str | int | float):  # from Python alone
        return f"`{option.name}`"
    return f"`{option.name}={option.default}`"


def result_pages() -> Iterator[tuple[str, str]]:
    """The measurements as the benchmarks wrote them, one page a section."""
    text = (ROOT / "benchmarks/RESULTS.md").read_text(encoding="utf-8")
    names = []
    for section in re.split(r"^(?=## )", text, flags=re.MULTILINE)[1:]:
        title = section.partition("\n")[0].removeprefix("## ").strip()
        names.append(re.sub(r"\W+", "_", title.lower()).strip("_"))
        yield f"results/{names[-1]}.md", re.sub(r"^#(#+ )", r"\1", section, flags=re.MULTILINE)
    introduction = (
        "Each page is what a program in `benchmarks/` wrote when it last ran, with the command that runs it again. Machines and "
        "settings stand with the figures; figures of different pages were measured at different times."
    )
    yield (
        "results/index.md",
        "\n".join(["# Measured results", "", introduction, "", "```{toctree}", ":maxdepth: 1", "", *names, "```", ""]),
    )


def find_notebooks() -> list[Path]:
    """The notebooks of the repository, in order."""
    return sorted((ROOT / "notebooks").glob("*.ipynb"))


def notebook_page() -> tuple[str, str]:
    """The list of notebooks; whatever there are."""
    names = [path.stem for path in find_notebooks()]
    lines = ["# Notebooks", ""]
    if not names:
        return "notebooks/index.md", "\n".join([*lines, "This copy of the repository has none.", ""])
    lines += ["They lie in `notebooks/` of the repository and run on the sample scenes.", ""]
    return "notebooks/index.md", "\n".join([*lines, "```{toctree}", ":maxdepth: 1", "", *names, "```", ""])

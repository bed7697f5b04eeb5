"""Finding photos where a scene file does not name them as the disk does: other endings, paths of another machine."""

from __future__ import annotations

import os
import unicodedata
from pathlib import Path, PurePosixPath

from scene_depth.errors import InputError
from scene_depth.io.images import IMAGE_SUFFIXES
from scene_depth.io.scene_notes import SceneNotes

LOST = "no finite pose"
MISSING = "no such photo"


def missing_photo(path: Path) -> InputError:
    """The error of a photo that is not there."""
    found = "No such file or directory, with no other ending either"
    accepted = "an image file that can be read; skip_missing=true (--scene-options) leaves out views without one"
    return InputError("path", found, accepted, file=path)


class PhotoFinder:
    """Photos below a folder by the names that a scene file gives them.

    A name is looked for as it stands; then without its first folders, as absolute paths and those of another machine need;
    then with another ending or in other letters (IMG.JPG for IMG.jpg, a.png for a.jpg), if one file alone could be meant.
    """

    def __init__(self, folder: Path, notes: SceneNotes, what: str = "photos") -> None:
        self.folder, self._notes, self._what = folder, notes, what
        self._listed: dict[Path, dict[str, list[Path]]] = {}

    def find(self, name: str) -> Path | None:
        """The file, or None; what was not found as it stands is said in the notes."""
        name = name.replace("\\", "/").replace("\0", "")
        plain = self.folder / name  # os.path below: a name that no disk takes is not found, where Path raises
        if os.path.isfile(plain):
            return plain
        parts = [part for part in PurePosixPath(name).parts if part not in ("/", ".", "..") and part[-1] != ":"]
        places = [self.folder.joinpath(*parts[start:]) for start in range(len(parts))]
        found = next((place for place in places if os.path.isfile(place)), None)
        if found is not None:
            example = f"{found.relative_to(self.folder)} for {name}"
            self._notes.found("found without the folders of their names", example, self._what)
            return found
        found = next((other for place in places if (other := self._other_ending(place)) is not None), None)
        if found is not None:
            self._notes.found("found under another ending", f"{found.name} for {PurePosixPath(name).name}", self._what)
        return found

    def name_of(self, name: str, photo: Path) -> str:
        """The name of a photo's view: as the scene file has it, or of the file that was found in its place."""
        if photo == self.folder / name:
            return name
        return photo.relative_to(self.folder).as_posix() if photo.is_relative_to(self.folder) else photo.name

    def _other_ending(self, place: Path) -> Path | None:
        listed = self._listed.get(place.parent)
        if listed is None:
            listed = {}
            for file in sorted(place.parent.iterdir()) if os.path.isdir(place.parent) else ():
                if file.suffix.lower() in IMAGE_SUFFIXES and file.is_file():
                    listed.setdefault(_folded(file.stem), []).append(file)
            self._listed[place.parent] = listed
        candidates = [*listed.get(_folded(place.stem), ()), *(listed.get(_folded(place.name), ()) if place.suffix else ())]
        same = [file for file in candidates if file.suffix.lower() == place.suffix.lower()]
        candidates = same or candidates
        return candidates[0] if len(candidates) == 1 else None


def _folded(text: str) -> str:
    """Text without the differences that disks make: letter case, and the two ways to write accents."""
    return unicodedata.normalize("NFC", text).casefold()

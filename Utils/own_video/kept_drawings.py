"""What was drawn is kept, so that another threshold draws only what has changed: the overlay, and the report's clips.

<cache_dir>/overlays/<key>/overlay.mp4   the latest overlay of a video
                           clips.json    key of a clip -> the clip, as the report embeds it
                           kept.json     hashes of the overlay's pieces, remarks on its sound

The key is that of the scores (`kept.py`). The overlay is a hard link to that in the results, so it takes room of its
own only if these are removed, or are on another file system. A folder appears whole or not at all, and replaces the one
before, so nothing that is not used any more stays in it. `kept.json` has the SHA-256 of the other files: what is
damaged, or was changed by the user, is drawn again.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from Utils.own_video.jobs import VideoJob, scores_key
from Utils.own_video.kept import KEPT, checked, make_room, write_checked
from Utils.own_video.overlay import EarlierOverlay, identity_of
from Utils.work.cache import atomic_folder, file_hash

ROOM = "overlays"  # in --cache_dir
OVERLAY, CLIPS = "overlay.mp4", "clips.json"
MAX_ROOM = 2 << 30  # bytes of all, two hours or more: then those that were used the longest ago are removed


class Drawings(NamedTuple):
    """What can be used again: the overlay, and key -> clip (`clip_data`)."""

    overlay: EarlierOverlay | None
    clips: Mapping[str, dict]


NOTHING = Drawings(None, {})


class KeptDrawings:
    """The drawings of one video in the cache. Making it raises InputError if the video cannot be accessed."""

    def __init__(self, job: VideoJob) -> None:
        self._folder = job.cache_dir / ROOM / scores_key(job)

    def load(self) -> Drawings:
        """What is there and undamaged."""
        facts = checked(self._folder / KEPT)
        if facts is None:
            return NOTHING
        overlay, clips = None, {}
        path = self._folder / OVERLAY
        with suppress(OSError):
            identity = identity_of(path)  # first: another run may replace the file while it is read
            if file_hash(path) == facts["files"][OVERLAY]:
                overlay = EarlierOverlay(path, identity, facts["pieces"], facts["sound_remarks"])
        with suppress(OSError):
            data = (self._folder / CLIPS).read_bytes()
            if hashlib.sha256(data).hexdigest() == facts["files"][CLIPS]:
                clips = json.loads(data)
        with suppress(OSError):
            os.utime(self._folder / KEPT)  # used now: see `make_room`
        return Drawings(overlay, clips)

    def save(
        self, overlay: Path, known: str, pieces: Sequence[str], remarks: Sequence[str], clips: Mapping[str, dict]
    ) -> None:
        """Keep a finished overlay and the clips. If that is not possible they are drawn again next time.

        Parameters
        ----------
        overlay : Path
        known : str
            Its SHA-256.
        pieces, remarks : sequence of str
            As `Overlay` has them: the hashes of its pieces, and the remarks on its sound.
        clips : mapping
            As `ClipMaker.made`.
        """
        with suppress(OSError):
            with atomic_folder(self._folder) as folder:
                _link(overlay, folder / OVERLAY)
                (folder / CLIPS).write_text(json.dumps(clips), encoding="utf-8")
                files = {OVERLAY: known, CLIPS: file_hash(folder / CLIPS)}
                facts = {"pieces": list(pieces), "sound_remarks": list(remarks), "files": files}
                write_checked(folder / KEPT, facts)
            make_room(self._folder.parent, MAX_ROOM)


def _link(there: Path, new: Path) -> None:
    """The same file under another name; a copy where that is not possible, as on another file system."""
    try:
        os.link(there, new)
    except OSError:
        shutil.copyfile(there, new)

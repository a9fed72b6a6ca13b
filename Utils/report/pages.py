"""Writes the pages: a report with everything in one file, and an index over many reports.

Security
--------
Names of videos, subjects and emotions come from other people's files, and may contain HTML or scripts. Therefore Jinja
escapes all text, and JSON inside script elements has no `<`, `>` or `&`. The Content-Security-Policy of each page only
lets scripts run that it names by their hashes, and lets nothing be loaded.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path, PurePath
from urllib.parse import quote

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from plotly.offline import get_plotlyjs, get_plotlyjs_version

from Utils.evaluation.csv_files import REVIEW_COLUMNS
from Utils.evaluation.eaf import UNNAMED
from Utils.evaluation.metrics import IOU_THRESHOLD
from Utils.evaluation.result import Evaluation
from Utils.records import OTHERS
from Utils.report.colours import GREY, emotion_colours
from Utils.report.contents import CSV_COLUMNS, Curve, CurveContents, curve_contents
from Utils.report.results import (
    SUBJECT_COLUMNS,
    all_notes,
    confusion_tables,
    flattened,
    metric_groups,
    protocol_name,
    subject_table,
)
from Utils.work.cache import atomic_file

FOLDER = Path(__file__).resolve().parent
SCRIPTS = (  # in this order
    "tables.js", "plot.js", "still.js", "clip.js", "player.js", "elan.js", "review.js", "review_view.js", "report.js",
)  # fmt: skip
RUN_DIGITS = 16  # hexadecimal digits of the hash of a page's results
REVIEWED_COLUMNS = (
    "subject", "video", "face", "onset", "apex", "offset", "onset_s", "offset_s", "score", "emotion", "confidence",
    "kind", *REVIEW_COLUMNS, "note",
)  # fmt: skip
# How characters are written that could end a script element or a line of script
IN_SCRIPT = str.maketrans({"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"})


def write_report(
    path: Path,
    title: str,
    curves: Iterable[Curve],
    classes: Sequence[str],
    *,
    evaluations: Mapping[str, Evaluation] = {},
    footage: Sequence[Mapping[str, str]] = (),
    set_aside: Sequence[Mapping] | None = None,
    settings: Mapping[str, object] = {},
    links: Mapping[str, str | PurePath] = {},
    videos: Mapping[str, str | PurePath] = {},
    compared: str = "",
    remarks: Sequence[str] = (),
    warnings: Sequence[str] = (),
) -> None:
    """Write the report of a run on a dataset, or of one of the user's own videos. Equal input gives equal bytes.

    Parameters
    ----------
    path : Path
        The .html file. It appears whole or not at all.
    title : str
    curves : iterable of Curve
        They are used one after the other, so each may be made when it is asked for.
    classes : sequence of str
        The evaluated emotions. Their order decides their colours.
    evaluations : mapping of str to Evaluation
        Protocol ("paper", "upstream") -> evaluation. Empty if nothing is annotated.
    footage : sequence of mapping
        Of a video: "name", "value", "level" (green, amber or red) and "advice" of each finding on its footage.
    set_aside : sequence of mapping, optional
        Of a second look: "face", "onset_s", "offset_s", "kind", "motion_px", "p_micro" and "flags" of each candidate
        that is not reported. None if there was no second look.
    settings : mapping
        Settings and versions. They can be nested.
    links : mapping of str to path
        Name -> path relative to the report, of other files of the run.
    videos : mapping of str to path
        The same of videos that browsers can play. The page opens them at the selected expression.
    compared : str
        If the threshold is the same for all videos: a sentence on what that assumes. By default it is relative to each
        video, and the page says so.
    remarks, warnings : sequence of str
        Warnings are at the top of the page, remarks further down.

    Raises
    ------
    ValueError
        See `Utils.report.contents.curve_contents`.
    """
    colours = emotion_colours(classes)
    metrics = {protocol: evaluation.metrics for protocol, evaluation in evaluations.items()}
    contents, data, clips, has_eaf, companion = [], [], [], False, False
    for number, curve in enumerate(curves):
        content = curve_contents(number, curve, colours)
        has_eaf, companion = has_eaf or bool(curve.eaf), companion or curve.companion is not None
        data.append(Markup(script_json(content.data)))
        texts = enumerate(None if clip is None else script_json(clip) for clip in content.clips)
        clips += [(f"clip-{number}-{position}", Markup(text)) for position, text in texts if text is not None]
        contents.append(content._replace(data={}, clips=[]))  # they need not be in memory twice
    rows = [row for content in contents for row in content.rows]
    counts = _counts(contents)
    groups = metric_groups(metrics) if metrics else []
    plotly, scripts = Markup(get_plotlyjs()), [_asset(name) for name in SCRIPTS]
    _write(
        path,
        "report.html",
        title=title,
        policy=content_policy([plotly, *scripts]),
        scripts=scripts,
        plotly=plotly,
        style=_asset("report.css"),
        contents=contents,
        data=data,
        clips=clips,
        reviewed=_review(data, classes, colours) | {"elan": has_eaf},
        links=[(name, relative_link(target)) for name, target in links.items()],
        videos=[(name, relative_link(target)) for name, target in videos.items()],
        compared=compared,
        rows=rows,
        csv_header=",".join(CSV_COLUMNS),
        columns={
            "video": counts["videos"] > 1 or any(row["expressions"] for row in rows),
            "face": any(row["face"] for row in rows),
            "annotated": counts["annotated"] > 0,
            "second_look": set_aside is not None,
        },
        companion=companion,
        set_aside=set_aside,
        legend=_legend(rows, colours),
        counts=counts,
        protocols=[protocol_name(name) for name in metrics],
        metric_groups=groups,
        subjects=[(protocol_name(name), table) for name, m in metrics.items() if (table := subject_table(m))],
        subject_columns=SUBJECT_COLUMNS,
        with_intervals=any(any(row["intervals"]) for group in groups for row in group["rows"]),
        notes=[(protocol_name(name), texts) for name, m in metrics.items() if (texts := all_notes(m))],
        confusions=[t | {"name": protocol_name(t["protocol"])} for t in confusion_tables(evaluations, classes)],
        settings=[*flattened(settings), ("plotly.js", get_plotlyjs_version())],
        footage=footage,
        remarks=remarks,
        warnings=warnings,
        iou=IOU_THRESHOLD,
    )


def write_index(path: Path, title: str, rows: Sequence[Mapping], *, warnings: Sequence[str] = ()) -> None:
    """Write the page that lists the videos of a folder.

    Parameters
    ----------
    path : Path
        The .html file. It appears whole or not at all.
    title : str
    rows : sequence of mapping
        "video": its name. What is not known may be missing or None: "report", the path of its report relative to the
        index; the numbers "faces", "expressions", "per_minute" (expressions in a scored minute), "scored" and "seconds"
        (scored seconds, and all); "set_aside", a text; "remarks", a list of texts; "problem", why it failed; "status",
        what is shown if there is no problem, by default "done".
    warnings : sequence of str
        They are at the top of the page.
    """
    shown = [
        {
            "video": str(row["video"]),
            "link": None if row.get("report") is None else relative_link(row["report"]),
            **{name: row.get(name) for name in ("faces", "expressions", "per_minute", "scored", "seconds")},
            "set_aside": str(row.get("set_aside") or ""),
            "remarks": [str(remark) for remark in row.get("remarks") or ()],
            "failed": bool(row.get("problem")),
            "status": str(row.get("problem") or row.get("status") or "done"),
        }
        for row in rows
    ]
    scripts = [_asset("tables.js")]
    _write(
        path,
        "index.html",
        title=title,
        policy=content_policy(scripts),
        scripts=scripts,
        style=_asset("report.css"),
        rows=shown,
        failed=sum(row["failed"] for row in shown),
        warnings=warnings,
    )


def script_json(value) -> str:
    """A value as JSON that is safe inside a script element, whatever text it contains.

    Raises ValueError for NaN and infinity, which are not JSON.
    """
    return json.dumps(value, allow_nan=False, separators=(",", ":")).translate(IN_SCRIPT)


def content_policy(scripts: Sequence[str]) -> str:
    """The Content-Security-Policy under which only these inline scripts run, and nothing is loaded.

    Styles and data URIs are allowed, because Plotly writes styles into the page and pictures are data URIs.
    """
    hashes = " ".join(
        f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'" for script in scripts
    )
    return (
        f"default-src 'none'; script-src {hashes}; style-src 'unsafe-inline'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )


def relative_link(path: str | PurePath) -> str:
    """A relative path as the target of a link. Characters with a meaning in URLs are escaped."""
    return "./" + quote(os.fsencode(PurePath(path).as_posix()))


def _review(data: Sequence[str], classes: Sequence[str], colours: Mapping[str, str]) -> dict:
    """What the page needs so that its predictions can be reviewed. `data` are the JSON texts of the curves.

    A review belongs to one set of results: "run" is their hash.
    """
    emotions = [*classes, *([OTHERS] if OTHERS not in classes else [])]
    run = hashlib.sha256("\n".join(data).encode()).hexdigest()[:RUN_DIGITS]
    about = {"run": run, "columns": REVIEWED_COLUMNS, "colours": dict(colours), "grey": GREY, "unnamed": UNNAMED}
    return {"emotions": emotions, "data": Markup(script_json(about))}


def _legend(rows: Sequence[Mapping], colours: Mapping[str, str]) -> list[tuple[str, str]]:
    """The names and the colours of the emotions. Grey is added for all others, if there are any."""
    named = [(name, colour) for name, colour in colours.items() if name != OTHERS]
    if OTHERS in colours or any(row["colour"] == GREY for row in rows):
        named.append(("others, unknown", GREY))
    return named


def _counts(contents: Sequence[CurveContents]) -> dict[str, int]:
    """The numbers of videos, intervals and matches on a page."""
    return {
        "videos": len({(c.intervals.subject, c.intervals.video) for c in contents}),
        "predicted": sum(len(c.intervals.predicted) for c in contents),
        "annotated": sum(len(c.intervals.annotated) for c in contents),
        "matched": sum(c.n_matched for c in contents),
    }


@lru_cache(maxsize=1)
def _environment() -> Environment:
    return Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _asset(name: str) -> Markup:
    """The text of a file of this folder, for a script or style element. It is not escaped."""
    return Markup((FOLDER / name).read_text(encoding="utf-8"))


def _write(path: Path, template: str, **values) -> None:
    """Fill a template and write it piece by piece, because the page of an hour of video has many megabytes."""
    with atomic_file(Path(path)) as scratch, scratch.open("wb") as file:
        page = _environment().get_template(template).stream(values)
        page.dump(file, "utf-8", "replace")  # characters of names that are not valid Unicode become "?"

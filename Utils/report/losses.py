"""The figure of a training: loss curves of all folds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

from Utils.report.colours import GREY, PALETTE, finite
from Utils.report.figures import RAW, new_figure

LOSS_PANELS = (
    ("spot_loss", "spotting: loss", "MSE + L2 penalty"),
    ("spot_mae", "spotting: mean absolute error", "MAE of the score"),
    ("recog_loss", "recognition: loss", "cross-entropy + L2 penalty"),
    ("recog_accuracy", "recognition: accuracy on the training samples", "accuracy"),
)
LOG_FROM = 30.0  # if the largest loss is more than this many times the smallest, the axis is logarithmic
HEIGHT = 7.2  # of the figure, inches
TICKS = 10  # most ticks on the axis of epochs


def plot_losses(path: Path, histories: Mapping[str, Mapping[str, Sequence[float]]]) -> None:
    """Draw the training curves of all folds.

    Every fold has a thin line, their mean a bold one. If values on the held-out subjects are known, their mean has a
    line, too.

    Parameters
    ----------
    path : Path
        The PNG.
    histories : dict of str to dict of str to list of float
        Held-out subject -> name ("spot_loss", "spot_mae", "recog_loss", "recog_accuracy") -> one value per epoch. A
        fold without recognition does not have the last two. Names that begin with "val_" have the values on the
        held-out subject.
    """
    with new_figure(path, HEIGHT) as figure:
        figure.subplots_adjust(left=0.065, right=0.985, top=0.9, bottom=0.075, wspace=0.16, hspace=0.34)
        folds = f"{len(histories)} fold{'s' * (len(histories) != 1)}"
        figure.text(0.065, 0.982, f"Training curves of {folds}", fontsize=12, fontweight="bold", va="top")
        for axes, (name, title, unit) in zip(figure.subplots(2, 2).flat, LOSS_PANELS, strict=True):
            curves = [finite(h[name]) for h in histories.values() if len(h.get(name, ()))]
            held_out = [finite(h[f"val_{name}"]) for h in histories.values() if len(h.get(f"val_{name}", ()))]
            _draw_curves(axes, curves, held_out, accuracy=name == "recog_accuracy")
            axes.set_title(title + (f" ({len(curves)} of {folds})" if len(curves) < len(histories) else ""), loc="left")
            axes.set_xlabel("epoch")
            axes.set_ylabel(f"{unit}{' (log)' if axes.get_yscale() == 'log' else ''}")
        handles = [
            Line2D([], [], color=RAW, linewidth=0.9, label="one fold (one subject held out)"),
            Line2D([], [], color=PALETTE[0], linewidth=2.4, label="mean of the folds"),
        ]
        if any(name.startswith("val_") for history in histories.values() for name in history):
            handles.append(Line2D([], [], color=PALETTE[1], linewidth=1.8, label="mean on the held-out subjects"))
        figure.legend(
            handles=handles, loc="upper right", ncols=len(handles), bbox_to_anchor=(0.985, 0.99), borderaxespad=0
        )


def _table(curves: list[np.ndarray]) -> np.ndarray:
    """The curves as rows, (n, epochs), with NaN at the end of the shorter ones."""
    table = np.full((len(curves), max(map(len, curves), default=0)), np.nan)
    for row, curve in zip(table, curves, strict=True):
        row[: len(curve)] = curve
    return table


def _draw_curves(axes: Axes, curves: list[np.ndarray], held_out: list[np.ndarray], accuracy: bool) -> None:
    """Draw one panel. `accuracy`: the axis goes from 0 to 1 and is never logarithmic."""
    table = _table(curves)
    epochs = table.shape[1]
    if not np.isfinite(table).any():
        axes.text(0.5, 0.5, "no values", color=GREY, style="italic", ha="center", va="center", transform=axes.transAxes)
        axes.set(xticks=[], yticks=[])
        return
    marker = dict(marker="o", markersize=4) if epochs == 1 else {}
    x = np.arange(1, epochs + 1)
    axes.plot(x, table.T, color=RAW, linewidth=0.9, **marker)
    axes.plot(x, np.ma.masked_invalid(table).mean(axis=0), color=PALETTE[0], linewidth=2.4, **marker)
    if held_out:
        mean = np.ma.masked_invalid(_table(held_out)).mean(axis=0)
        axes.plot(np.arange(1, len(mean) + 1), mean, color=PALETTE[1], linewidth=1.8, zorder=3, **marker)
    low, high = np.nanmin(table), np.nanmax(table)
    if accuracy:
        axes.set_ylim(-0.03, 1.03)
    elif low > 0 and high > LOG_FROM * low:
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.yaxis.set_minor_locator(NullLocator())
    axes.set_xlim(*((1, epochs) if epochs > 1 else (0.5, 1.5)))
    axes.xaxis.set_major_locator(MaxNLocator(TICKS, integer=True, min_n_ticks=1))

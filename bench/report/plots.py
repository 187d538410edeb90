"""A plot per series, as SVG: medians, with a bar from the least to the greatest sample."""

import matplotlib

matplotlib.use("Agg")
# The same figures give the same file.
matplotlib.rcParams["svg.hashsalt"] = "weir"
# Text is written as text, which takes a tenth of the size.
matplotlib.rcParams["svg.fonttype"] = "none"

from matplotlib import pyplot  # noqa: E402

INCHES = (7, 4)


def draw(result, file):
    plot = result["plot"]
    figure, axes = pyplot.subplots(figsize=INCHES, layout="constrained")
    for label, metric, rows in curves(plot, result["rows"]):
        points = [row["point"][plot["x"]] for row in rows]
        of = [row["summary"][metric["key"]] for row in rows]
        medians = [summary["median"] / metric["per"] for summary in of]
        spread = [[(s["median"] - s["min"]) / metric["per"] for s in of], [(s["max"] - s["median"]) / metric["per"] for s in of]]
        # Names have no order that a line could show.
        line = "" if plot["curves"] is None and isinstance(points[0], str) else "-"
        axes.errorbar(points, medians, yerr=spread, linestyle=line, marker="o", capsize=3, label=label)
    axes.set_title(result["title"])
    axes.set_xlabel(plot["x"])
    if plot["log_x"]:
        axes.set_xscale("log")
        axes.set_xticks(points, [f"{point:,}" for point in points])
        axes.minorticks_off()
    if plot["log_y"]:
        axes.set_yscale("log")
    else:
        axes.set_ylim(bottom=0)
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(file, metadata={"Date": None})
    pyplot.close(figure)


def curves(plot, rows):
    """(label, metric, rows): a curve for each metric, and for each value of the dimension that distinguishes curves."""
    if plot["curves"] is None:
        return [(metric["title"], metric, rows) for metric in plot["metrics"]]
    values = list(dict.fromkeys(row["point"][plot["curves"]] for row in rows))
    of = {value: [row for row in rows if row["point"][plot["curves"]] == value] for value in values}
    return [(f"{metric['title']}, {value}", metric, of[value]) for value in values for metric in plot["metrics"]]

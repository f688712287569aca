"""Draw a day at New York's airports, hour by hour: delays, flights and wind, one above the other."""

from io import BytesIO
from pathlib import Path

import atomic
import click
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

BLUE, PALE, RED, GREY = "#2f6f9f", "#a9c6da", "#c8553d", "#5b6770"
HOURS = range(24)


@click.command()
@click.argument("day")
@click.argument("joined", type=click.Path(path_type=Path))
@click.argument("target", type=click.Path(path_type=Path))
def main(day: str, joined: Path, target: Path) -> None:
    """Draw the flights of DAY, which stand in the CSV file JOINED, into the PNG file TARGET."""
    image = BytesIO()
    figure = draw(day, pd.read_csv(joined))
    # Nothing in the file says when or by what it was made: the same bytes on every run.
    figure.savefig(image, format="png", bbox_inches="tight", pad_inches=0.25, metadata={"Software": None})
    atomic.write(target, image.getvalue())
    click.echo(f"{len(image.getvalue())} bytes -> {target}")


def draw(day: str, flights: pd.DataFrame) -> Figure:
    flown = flights[flights["dep_time"].notna()]
    figure = Figure(figsize=(9, 7), dpi=120, layout="constrained")
    figure.suptitle(f"New York's departures, {day}", fontsize=15, fontweight="bold")
    delays, counts, wind = figure.subplots(3, 1, sharex=True, height_ratios=[5, 3, 2])
    draw_delays(delays, by_hour(flown)["dep_delay"].mean())
    draw_counts(counts, by_hour(flown).size(), by_hour(flights).size())
    draw_wind(wind, by_hour(flights)["wind_speed"].mean())
    for axes in (delays, counts, wind):
        axes.spines[:].set_visible(False)
        axes.tick_params(colors=GREY, labelsize=9, length=0)
        axes.set_axisbelow(True)
        axes.grid(axis="y", color="#e6e9ec")
    wind.set_xticks(HOURS)
    wind.set_xlim(-0.6, 23.6)
    wind.set_xlabel("scheduled hour of departure", color=GREY)
    return figure


def by_hour(flights: pd.DataFrame) -> "pd.api.typing.DataFrameGroupBy":
    return flights.groupby("hour")


def draw_delays(axes: Axes, delay: pd.Series) -> None:
    """The worst hour stands out, the earliest of equals."""
    worst = delay.idxmax() if delay.count() else None
    bars = axes.bar(delay.index, delay, color=[RED if hour == worst else BLUE for hour in delay.index])
    axes.bar_label(bars, fmt="%.0f", padding=2, fontsize=8, color=GREY)
    axes.axhline(0, color=GREY, linewidth=0.8)
    axes.margins(y=0.1)
    title(axes, "Mean delay", "minutes, flown flights")


def draw_counts(axes: Axes, flown: pd.Series, scheduled: pd.Series) -> None:
    axes.bar(HOURS, scheduled.reindex(HOURS, fill_value=0), color=RED, label="cancelled")
    axes.bar(HOURS, flown.reindex(HOURS, fill_value=0), color=PALE, label="flown")
    title(axes, "Flights", "scheduled")
    axes.legend(frameon=False, fontsize=9, labelcolor=GREY, ncols=2, loc="lower right", bbox_to_anchor=(1, 1))


def draw_wind(axes: Axes, speed: pd.Series) -> None:
    axes.plot(speed.index, speed, color=GREY, marker="o", markersize=3)
    axes.set_ylim(0, max(30, speed.max()))
    title(axes, "Wind", "miles per hour" if speed.count() else "no records")


def title(axes: Axes, name: str, unit: str) -> None:
    axes.set_title(f"{name} · {unit}", loc="left", fontsize=10, color=GREY)


if __name__ == "__main__":
    main()

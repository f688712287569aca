"""Sum a day up: in figures for programs, on a page for people."""

import json
from base64 import b64encode
from html import escape
from pathlib import Path
from string import Template

import atomic
import click
import pandas as pd

PAGE = Template(Path(__file__).with_name("report.html").read_text(encoding="utf-8"))

File = click.Path(path_type=Path)


@click.command()
@click.argument("day")
@click.option("--joined", type=File, required=True, help="CSV of the day's flights")
@click.option("--carriers", type=File, required=True, help="CSV of the day's carriers")
@click.option("--chart", type=File, required=True, help="PNG of the day")
@click.option("--json", "figures_target", type=File, required=True, help="where the figures go")
@click.option("--html", "page_target", type=File, required=True, help="where the page goes")
def main(day: str, joined: Path, carriers: Path, chart: Path, figures_target: Path, page_target: Path) -> None:
    """Report on DAY."""
    table = pd.read_csv(carriers, dtype=str, keep_default_na=False)
    figures = sum_up(day, pd.read_csv(joined), len(table))
    atomic.write(figures_target, json.dumps(figures, indent=2) + "\n")
    atomic.write(page_target, page(figures, table, chart.read_bytes()))
    click.echo(f"{figures['flights']} flights, {figures['cancelled']} cancelled -> {page_target}")


def sum_up(day: str, flights: pd.DataFrame, carriers: int) -> dict[str, str | int | float | None]:
    """The day's figures; means are of flown flights, and null where none has flown."""
    flown = flights[flights["dep_time"].notna()]
    mean_by_hour = flown.groupby("hour")["dep_delay"].mean().dropna()  # in order of hours: idxmax takes the first
    return {
        "date": day,
        "flights": len(flights),
        "cancelled": len(flights) - len(flown),
        "carriers": carriers,
        "mean_dep_delay": round(float(flown["dep_delay"].mean()), 4) if len(flown) else None,
        "worst_hour": int(mean_by_hour.idxmax()) if len(mean_by_hour) else None,
    }


def page(figures: dict[str, str | int | float | None], carriers: pd.DataFrame, chart: bytes) -> str:
    """One HTML file that needs no other: the chart stands inside."""
    rows = (f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in carriers.to_numpy())
    shown = {name: "none" if value is None else escape(str(value)) for name, value in figures.items()}
    return PAGE.substitute(shown, chart=b64encode(chart).decode(), rows="\n      ".join(rows))


if __name__ == "__main__":
    main()

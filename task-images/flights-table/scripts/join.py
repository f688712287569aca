"""Give each flight the weather at its airport in the hour it was scheduled for."""

from pathlib import Path

import click
import pandas as pd
import tables

PLACE_AND_HOUR = ["origin", "time_hour"]


@click.command()
@click.argument("flights", type=click.Path(path_type=Path))
@click.argument("weather", type=click.Path(path_type=Path))
@click.argument("target", type=click.Path(path_type=Path))
def main(flights: Path, weather: Path, target: Path) -> None:
    """Join the CSV files FLIGHTS and WEATHER into TARGET."""
    tables.write(join(tables.read(flights), tables.read(weather)), target)


def join(flights: pd.DataFrame, weather: pd.DataFrame) -> pd.DataFrame:
    """One row per flight, in their order; the weather's columns are empty where nobody recorded it."""
    weather = weather.astype({name: flights[name].dtype for name in PLACE_AND_HOUR})
    return flights.merge(weather, on=PLACE_AND_HOUR, how="left", validate="many_to_one")


if __name__ == "__main__":
    main()

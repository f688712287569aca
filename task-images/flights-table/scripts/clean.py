"""Keep the columns that later steps need, each row once, in an order of its own."""

from pathlib import Path

import click
import pandas as pd
import tables

COLUMNS = {
    "flights": [
        "time_hour", "hour", "origin", "dest", "carrier", "name", "flight", "tailnum",
        "sched_dep_time", "dep_time", "dep_delay", "sched_arr_time", "arr_time", "arr_delay", "distance",
    ],
    "weather": ["time_hour", "origin", "temp", "wind_speed", "precip", "visib"],
}  # fmt: skip


@click.command()
@click.argument("table", type=click.Choice(sorted(COLUMNS)))
@click.argument("source", type=click.Path(path_type=Path))
@click.argument("target", type=click.Path(path_type=Path))
def main(table: str, source: Path, target: Path) -> None:
    """Clean the CSV file SOURCE, which holds a day of TABLE, into TARGET."""
    tables.write(clean(tables.read(source), COLUMNS[table]), target)


def clean(rows: pd.DataFrame, columns: list[str]) -> pd.DataFrame:
    return rows.drop_duplicates()[columns].sort_values(columns)


if __name__ == "__main__":
    main()

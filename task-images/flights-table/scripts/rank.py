"""How the carriers did on a day, the largest first."""

from pathlib import Path

import click
import pandas as pd
import tables

LATE = 15  # minutes


@click.command()
@click.argument("joined", type=click.Path(path_type=Path))
@click.argument("target", type=click.Path(path_type=Path))
def main(joined: Path, target: Path) -> None:
    """Rank the carriers of the flights in the CSV file JOINED into TARGET."""
    tables.write(rank(tables.read(joined)), target)


def rank(flights: pd.DataFrame) -> pd.DataFrame:
    """One row per carrier. A flight without a departure time was cancelled, the others have flown;
    means and share are those of flown flights and empty where there is none."""
    flown = flights["dep_time"].notna()
    dep_delay, arr_delay = flights["dep_delay"].where(flown), flights["arr_delay"].where(flown)
    flights = flights.assign(
        cancelled=~flown, dep_delay=dep_delay, arr_delay=arr_delay, late=(dep_delay >= LATE).astype("Int64")
    )
    carriers = flights.groupby(["carrier", "name"], as_index=False, dropna=False).agg(
        flights=("carrier", "size"),
        cancelled=("cancelled", "sum"),
        mean_dep_delay=("dep_delay", "mean"),
        mean_arr_delay=("arr_delay", "mean"),
        share_late_15=("late", "mean"),
    )
    carriers = carriers.sort_values(["flights", "carrier"], ascending=[False, True])
    figures = ["mean_dep_delay", "mean_arr_delay", "share_late_15"]
    return carriers.assign(**{name: carriers[name].map("{:.4f}".format, na_action="ignore") for name in figures})


if __name__ == "__main__":
    main()

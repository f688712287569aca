"""CSV files as tables: whole numbers stay whole, what is missing stays missing."""

from pathlib import Path

import atomic
import pandas as pd


def read(path: Path) -> pd.DataFrame:
    return pd.read_csv(path, dtype_backend="numpy_nullable", float_precision="round_trip")


def write(table: pd.DataFrame, path: Path) -> None:
    atomic.write(path, table.to_csv(index=False, lineterminator="\n"))
    print(f"{len(table)} rows -> {path}")

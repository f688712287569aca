"""`python -m pg COMMAND CONNECTION ...`: what tasks do with a PostgreSQL server, all of it or nothing."""

import csv
import io
import json
import sys
from pathlib import Path

import atomic
import click
import psycopg
from database import columns_of, connect, copy_into
from psycopg import sql

file = click.Path(path_type=Path)
inside = click.option("--database", help="In place of the connection's own.")


@click.group()
def main() -> None:
    pass


@main.command()
@click.argument("connection")
@click.argument("script", type=file)
@inside
def run(connection: str, script: Path, database: str | None) -> None:
    """Run the statements of a file, in one transaction."""
    with connect(connection, database) as server:
        done = server.execute(script.read_text())
        told = [done.statusmessage]
        while done.nextset():
            told.append(done.statusmessage)
    print(f"{script.name}: {', '.join(map(str, told))}")


@main.command()
@click.argument("connection")
@click.argument("query", type=file)
@click.argument("output", type=file)
@inside
def export(connection: str, query: Path, output: Path, database: str | None) -> None:
    """Write the rows of a query as CSV."""
    with connect(connection, database) as server:
        found = server.execute(query.read_text())
        text = io.StringIO()
        table = csv.writer(text, lineterminator="\n")
        table.writerow([column.name for column in found.description or ()])
        table.writerows(found)
    atomic.write(output, text.getvalue())
    print(f"{found.rowcount} rows -> {output}")


@main.command()
@click.argument("connection")
@click.argument("table")
@click.argument("records", type=file)
@inside
def load(connection: str, table: str, records: Path, database: str | None) -> None:
    """Have a table hold the records of a JSON file, and nothing else."""
    rows = json.loads(records.read_text())
    columns = columns_of(rows)
    with connect(connection, database) as server:
        server.execute(sql.SQL("TRUNCATE {}").format(sql.Identifier(table)))
        if rows:
            with server.cursor().copy(copy_into(table, columns)) as copy:
                for row in rows:
                    copy.write_row([row[name] for name in columns])
    print(f"{len(rows)} rows -> {table}")


@main.command()
@click.argument("connection")
@click.argument("name")
def create(connection: str, name: str) -> None:
    """Make an empty database; one of that name goes."""
    with connect(connection, autocommit=True) as server:
        server.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))
        server.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    print(name)


@main.command()
@click.argument("connection")
@click.argument("name")
def drop(connection: str, name: str) -> None:
    """Remove a database, if it is there."""
    with connect(connection, autocommit=True) as server:
        server.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))
    print(f"{name} is gone")


if __name__ == "__main__":
    try:
        main()
    except psycopg.Error as error:
        sys.exit(f"PostgreSQL: {str(error).splitlines()[0]}")

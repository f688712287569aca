"""`python -m available CONNECTION PATH`: whether a list that comes in pages has anything in it. Exit code 75 says
not yet, which a sensor understands."""

import sys

import click
from api import Api, ApiError
from fetch import query_of

NOT_YET = 75


@click.command()
@click.argument("connection")
@click.argument("path")
@click.option("--query", multiple=True, metavar="NAME=VALUE")
def main(connection: str, path: str, query: tuple[str, ...]) -> None:
    try:
        total = Api.connected(connection).json(path, {**query_of(query), "limit": 1})["total"]
    except ApiError as error:
        raise click.ClickException(str(error)) from error
    print(f"{total} records")
    sys.exit(0 if total else NOT_YET)


if __name__ == "__main__":
    main()

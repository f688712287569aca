"""`python -m fetch CONNECTION PATH FILE`: put what a service has at PATH into FILE, whole or not at all."""

import json
from pathlib import Path

import atomic
import click
from api import Api, ApiError


def query_of(words: tuple[str, ...]) -> dict[str, str]:
    return dict(word.split("=", 1) for word in words)


@click.command()
@click.argument("connection")
@click.argument("path")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--query", multiple=True, metavar="NAME=VALUE")
@click.option("--page-size", type=click.IntRange(min=1), help="PATH has a list in pages: fetch all of them.")
def main(connection: str, path: str, file: Path, query: tuple[str, ...], page_size: int | None) -> None:
    service, asked = Api.connected(connection), query_of(query)
    try:
        if page_size is None:
            body = service.get(path, asked)
        else:
            body = json.dumps(list(service.pages(path, asked, page_size)), indent=0).encode()
    except ApiError as error:
        raise click.ClickException(str(error)) from error
    atomic.write(file, body)
    print(f"{len(body)} bytes -> {file}")


if __name__ == "__main__":
    main()

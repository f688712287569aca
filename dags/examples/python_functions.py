"""Python functions beside tasks of other images. A function's lines travel into a container of any image that has
Python, also one with libraries that this file does not know; what it returns goes on like any other result."""

from datetime import UTC, datetime

from orchestrator import DAG, DockerOperator, task

with DAG(
    "python_functions",
    description="What the busiest market sells best",
    schedule="@daily",
    start_date=datetime(2024, 1, 1, tzinfo=UTC),
    is_paused_upon_creation=True,
    params={"least": 1},
    tags=["example"],
):

    @task.docker(image="http-fetch", connections=["example_api"])
    def markets(ds=None):
        """What each market sold on the day, of all products together."""
        from api import Api  # a module of the image

        api = Api.connected("example_api")
        sold = {name: api.json(f"/markets/{name}/{ds}", {}) for name in api.json("/markets", {})}
        return {name: sum(each["sold"] for each in rows) for name, rows in sold.items()}

    @task.short_circuit
    def enough(sold, params=None):
        """Nothing more to do on a day when nobody sold much."""
        return max(sold.values()) >= params["least"]

    @task.docker(multiple_outputs=True)
    def busiest(sold):
        """The market that sold most."""
        name = max(sorted(sold), key=sold.get)
        return {"name": name, "sold": sold[name]}

    @task.docker(image="sql", connections=["example_db"])
    def best_product(rows):
        """What sold best, by a database: the image has its library, and this file does not."""
        import json

        import psycopg
        from database import connect

        with connect("example_db") as server:
            version = server.execute("SHOW server_version").fetchone()[0]
            query = (
                "SELECT r->>'product' FROM json_array_elements(%s::json) r ORDER BY (r->>'sold')::int DESC LIMIT 1"
            )
            found = server.execute(query, [json.dumps(rows)]).fetchone()[0]
        print(f"psycopg {psycopg.__version__} asked PostgreSQL {version}")
        return found

    sold = markets()
    market = busiest(sold)
    fetch = DockerOperator(  # no function, and its result is the argument of one
        task_id="fetch",
        image="http-fetch",
        connections=["example_api"],
        command=[
            "python",
            "-m",
            "fetch",
            "example_api",
            f"/markets/{market['name']}/{{{{ ds }}}}",
            "/tmp/rows.json",
        ],
        retrieve_output_path="/tmp/rows.json",
    )
    product = best_product(fetch.output)
    DockerOperator(
        task_id="tell",
        environment={"MARKET": market["name"], "SOLD": market["sold"], "PRODUCT": product},
        script='echo "$MARKET sold $SOLD, most of it $PRODUCT"',
    )

    enough(sold) >> market

"""Many short tasks and a few long ones, all of which tell what they wrote. The file `crowd.json` beside this one
says how many there are of each.

A short one writes known bytes in two stretches; of ten in a row one ends with an exit code of its own, others have
a file copied in, an anonymous volume, or another user. A long one writes until it is told to stop (USR1)."""

import json
from datetime import UTC, datetime
from pathlib import Path

from orchestrator import DAG, DockerOperator

SHORT = r"""
say() { seq -f "$ORCHESTRATOR_TASK_ID $1 out %.0f für dich" 1 200; seq -f "$1 err %.0f" 1 100 >&2; }
[ -z "$GIVEN" ] || sha256sum < "$GIVEN"
say first; sleep 0.2; say second
printf '{"container": "%s"}' "$HOSTNAME" > "$ORCHESTRATOR_RESULT"
exit "$CODE"
"""
LONG = r"""
import hashlib, json, os, signal, time
told = []
signal.signal(signal.SIGUSR1, lambda *_: told.append(True))
sums = {1: hashlib.sha256(), 2: hashlib.sha256()}

def say(fd, text):
    data = text.encode()
    sums[fd].update(data)
    while data:
        data = data[os.write(fd, data):]

number = 0
while not told:
    number += 1
    say(1, f"line {number} für dich ")
    if number % 3 == 0:
        say(2, f"err {number} {'y' * (number % 900)}\n")
    say(1, f"{'x' * (number % 700)}\n")
    if number % 20 == 0:
        time.sleep(0.1)
say(1, "ends here")
handed = {"container": os.environ["HOSTNAME"], "out": sums[1].hexdigest(), "err": sums[2].hexdigest()}
open(os.environ["ORCHESTRATOR_RESULT"], "w").write(json.dumps(handed))
"""
crowd = json.loads(Path(__file__).with_name("crowd.json").read_text())

with DAG(
    "crowd",
    schedule="@once",
    start_date=datetime(2024, 1, 1, tzinfo=UTC),
    is_paused_upon_creation=False,
    default_args={"tmpfs": ["/tmp"], "stop_grace": 1},
):
    for number in range(crowd["long"]):
        DockerOperator(task_id=f"long{number}", command=["python", "-c", LONG], priority_weight=10)
    for number in range(crowd["short"]):
        kind = number % 10
        given = {"inputs": {"/given": "copied in before the start\n" * 3000}} if kind == 1 else {}
        DockerOperator(
            task_id=f"short{number}",
            script=SHORT,
            environment={"CODE": str(1 + number % 100 if kind == 3 else 0), "GIVEN": "/given" if given else ""},
            read_only=kind == 5,
            user="1000:1000" if kind == 7 else None,
            **given,
        )

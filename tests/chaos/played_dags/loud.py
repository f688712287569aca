"""Tasks that write what is hard to keep exactly, and tell the hashes of what they wrote as their results. The file
`loud.json` beside this one says which ones (`killed`: those that live through kills), how many bytes the large ones
write, and how many seconds one is silent.

Large ones wait at a gate first, so that a test can look at the scheduler before. `busy` writes until it is told to
stop (USR1). Of a secret the hash is of what a log shows instead."""

import json
from datetime import UTC, datetime
from pathlib import Path

from orchestrator import DAG, DockerOperator, Secret

VOICE = r"""
import hashlib, json, os, random, signal, sys, time
sums, sizes = {1: hashlib.sha256(), 2: hashlib.sha256()}, {1: 0, 2: 0}

def say(fd, data, shown=None):
    shown = data if shown is None else shown
    sums[fd].update(shown)
    sizes[fd] += len(shown)
    while data:
        data = data[os.write(fd, data):]

def wait_at_gate():
    os.mkfifo("/tmp/gate1")
    say(1, b"gate 1\n")
    open("/tmp/gate1").read()

def lines(size, seed):
    chance = random.Random(seed)
    while size > 0:
        block = b"".join(b"%d f\xc3\xbcr dich %s\n" % (chance.getrandbits(60), b"x" * chance.randrange(200))
                         for _ in range(500))
        for _ in range(20):
            size -= len(block)
            yield block
"""
END = """
handed = {str(fd): {"sha256": sums[fd].hexdigest(), "size": sizes[fd]} for fd in sums}
open(os.environ["ORCHESTRATOR_RESULT"], "w").write(json.dumps(handed))
"""
BIG = """
wait_at_gate()
for block in lines(int(os.environ["SIZE"]), int(os.environ["SEED"])):
    say(1, block)
"""
LONG_LINES = r"""
for number in range(1, 9):
    say(1 + number % 2, b"%d" % number + b"abcdefgh" * 131072 + b"\n")
say(1, b"z" * 1500000)
"""
NOT_TEXT = r"""
chance = random.Random(2)
for _ in range(64):
    say(1, chance.randbytes(50000))
    say(2, bytes(range(256)) * 40)
"""
SECRETS = r"""
secret = os.environ["TOKEN"].encode()
for cut in range(len(secret) + 1):
    say(1, b"left " + secret[:cut], b"left ")
    say(1, secret[cut:] + b" right\n", b"*** right\n")
for behind in range(-40, 41):
    fill = b"x" * (65536 - 8 + behind)
    say(1, fill + secret + b"\n", fill + b"***\n")
say(2, b"it ends in the beginning of one: " + secret[:-1])
"""
PROGRESS = r"""
for number in range(200001):
    say(2, b"\r%3d%% |%-40s| %d/200000" % (number // 2000, b"#" * (number // 5000), number))
say(1, b"done\r\n")
"""
BOTH = r"""
for number in range(20000):
    say(1, b"out %d\n" % number)
    say(2, b"err %d\n" % number)
"""
SILENT = r"""
say(1, b"before ")
time.sleep(float(os.environ["SECONDS"]))
say(1, b"and after\n")
"""
BUSY = r"""
told = []
signal.signal(signal.SIGUSR1, lambda *_: told.append(True))
secret = os.environ["TOKEN"].encode()
number = 0
while not told:
    number += 1
    say(1, b"out %d f\xc3\xbcr dich \r%s" % (number, b"x" * (number % 300)))
    if number % 7 == 0:
        say(1, b"user:" + secret + b"@host", b"user:***@host")
        say(2, b"err %d " % number + secret[:9], b"err %d ***\n" % number)
        say(2, secret[9:] + b"\n", b"")
    say(1, b"\n")
    if number % 500 == 0:
        time.sleep(0.05)
say(1, b"out ends here")
say(2, b"err ends here")
"""
LATE = r"""
say(1, b"first \xff\n")
wait_at_gate()
say(1, b"second \xff\n")
say(1, b"third\n")
"""
WRITERS = 8
said = json.loads(Path(__file__).with_name("loud.json").read_text())
TOKEN = [Secret("token", env="TOKEN")]

with DAG(
    "loud",
    schedule="@once",
    start_date=datetime(2024, 1, 1, tzinfo=UTC),
    is_paused_upon_creation=False,
    default_args={"tmpfs": ["/tmp"], "stop_grace": 1, "retries": 0},
):

    def voice(
        task_id: str, program: str, *, secrets: list[Secret] | None = None, **environment: str
    ) -> DockerOperator:
        command = ["python", "-c", VOICE + program + END]
        return DockerOperator(task_id=task_id, command=command, environment=environment, secrets=secrets or [])

    if said["killed"]:
        voice("busy", BUSY, secrets=TOKEN)
        voice("late", LATE)
    else:
        voice("silent", SILENT, SECONDS=str(said["silent"]))
        writers = [
            voice(f"writer{n}", BIG, SIZE=str(said["bytes"] // WRITERS), SEED=str(n)) for n in range(WRITERS)
        ]
        others = [
            voice("long_lines", LONG_LINES),
            voice("not_text", NOT_TEXT),
            voice("secrets", SECRETS, secrets=TOKEN),
            voice("progress", PROGRESS),
            voice("both", BOTH),
            *(DockerOperator(task_id=f"quick{n}", command=["printf", f"quick {n}"]) for n in range(4)),
        ]
        voice("big", BIG, SIZE=str(said["bytes"]), SEED="1") >> writers
        for writer in writers:
            writer >> others

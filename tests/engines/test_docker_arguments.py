"""Every argument of `DockerOperator` that the engine takes as it stands, read back from the engine: from what it
says of the created container, and from inside where a process can see it. What this engine cannot do, it refuses
with its own words."""

from pathlib import Path
from typing import Any

import pytest
from argument_bench import ArgumentBench
from structlog.testing import capture_logs

from orchestrator.errors import LaunchRefusedError

pytestmark = pytest.mark.engine


@pytest.fixture
def bench(argument_bench: ArgumentBench) -> ArgumentBench:
    return argument_bench


@pytest.mark.parametrize(
    ("arguments", "place", "value"),
    [
        ({"command": "echo 'a b' c"}, "Config.Cmd", ["echo", "a b", "c"]),
        ({"command": ["a b"], "entrypoint": "echo -n"}, "Config.Entrypoint", ["echo", "-n"]),
        ({"user": 1000}, "Config.User", "1000"),
        ({"working_dir": "/srv"}, "Config.WorkingDir", "/srv"),
        ({"hostname": "box"}, "Config.Hostname", "box"),
        ({"tty": True}, "Config.Tty", True),
        ({"stop_signal": "SIGINT"}, "Config.StopSignal", "SIGINT"),
        ({"stop_grace": 3}, "Config.StopTimeout", 3),
        ({"ports": {"80/tcp": 18080}}, "Config.ExposedPorts", {"80/tcp": {}}),
        ({"init": True}, "HostConfig.Init", True),
        ({"runtime": "io.containerd.runc.v2"}, "HostConfig.Runtime", "io.containerd.runc.v2"),
        ({"read_only": True}, "HostConfig.ReadonlyRootfs", True),
        ({"tmpfs": ["/t:size=1m"]}, "HostConfig.Tmpfs", {"/t": "size=1m"}),
        ({"shm_size": "1m"}, "HostConfig.ShmSize", 1 << 20),
        ({"cpus": 0.5}, "HostConfig.NanoCpus", 500_000_000),
        ({"cpu_shares": 512}, "HostConfig.CpuShares", 512),
        ({"cpuset_cpus": "0"}, "HostConfig.CpusetCpus", "0"),
        ({"mem_limit": "64m"}, "HostConfig.Memory", 64 << 20),
        ({"mem_limit": "64m", "mem_reservation": "32m"}, "HostConfig.MemoryReservation", 32 << 20),
        ({"mem_limit": "64m", "memswap_limit": "64m"}, "HostConfig.MemorySwap", 64 << 20),
        ({"pids_limit": 10}, "HostConfig.PidsLimit", 10),
        ({"oom_score_adj": 500}, "HostConfig.OomScoreAdj", 500),
        (
            {"ulimits": {"nofile": (64, 128)}},
            "HostConfig.Ulimits",
            [{"Name": "nofile", "Soft": 64, "Hard": 128}],
        ),
        (
            {"devices": ["/dev/null:/dev/nothing:r"]},
            "HostConfig.Devices",
            [{"PathOnHost": "/dev/null", "PathInContainer": "/dev/nothing", "CgroupPermissions": "r"}],
        ),
        (
            {"device_requests": [{"driver": "x", "device_ids": ["0"], "capabilities": [["gpu"]]}]},
            "HostConfig.DeviceRequests",
            [{"Driver": "x", "Count": 0, "DeviceIDs": ["0"], "Capabilities": [["gpu"]], "Options": {}}],
        ),
        (
            {"ports": {"80/tcp": ("127.0.0.1", 18080)}},
            "HostConfig.PortBindings",
            {"80/tcp": [{"HostIp": "127.0.0.1", "HostPort": "18080"}]},
        ),
        (
            {"port_bindings": {"80/tcp": [18080, 18081]}},
            "HostConfig.PortBindings",
            {"80/tcp": [{"HostIp": "", "HostPort": "18080"}, {"HostIp": "", "HostPort": "18081"}]},
        ),
        ({"dns": ["10.9.8.7"]}, "HostConfig.Dns", ["10.9.8.7"]),
        ({"dns_search": ["example.org"]}, "HostConfig.DnsSearch", ["example.org"]),
        (
            {"extra_hosts": {"db": "10.9.8.7"}},
            "HostConfig.ExtraHosts",
            ["host.docker.internal:host-gateway", "db:10.9.8.7"],
        ),
        ({"network_mode": "bridge"}, "HostConfig.NetworkMode", "bridge"),
        ({"privileged": True}, "HostConfig.Privileged", True),
        ({"cap_add": ["NET_ADMIN"]}, "HostConfig.CapAdd", ["NET_ADMIN"]),
        ({"cap_drop": ["ALL"]}, "HostConfig.CapDrop", ["ALL"]),
        (
            {"security_opt": ["seccomp=unconfined"]},
            "HostConfig.SecurityOpt",
            ["no-new-privileges", "seccomp=unconfined"],
        ),
        ({"group_add": [50]}, "HostConfig.GroupAdd", ["50"]),
        ({"userns_mode": "host"}, "HostConfig.UsernsMode", "host"),
        ({"ipc_mode": "shareable"}, "HostConfig.IpcMode", "shareable"),
        ({"pid_mode": "host"}, "HostConfig.PidMode", "host"),
        (
            {"log_opts_max_size": "1m", "log_opts_max_file": "3"},
            "HostConfig.LogConfig",
            {"Type": "json-file", "Config": {"max-size": str(1 << 20), "max-file": "3"}},
        ),
        (
            {"sysctls": {"net.ipv4.ip_unprivileged_port_start": 0}},
            "HostConfig.Sysctls",
            {"net.ipv4.ip_unprivileged_port_start": "0"},
        ),
    ],
)
def test_the_engine_says_what_was_written(
    bench: ArgumentBench, arguments: dict[str, Any], place: str, value: object
) -> None:
    part, _, key = place.partition(".")
    assert bench.inspect(bench.create())[part].get(key) != value
    assert bench.inspect(bench.create(**arguments))[part][key] == value


@pytest.mark.parametrize(
    ("arguments", "script", "says"),
    [
        ({"user": "1234:5"}, "id -u; id -g", "1234\n5"),
        ({"user": "1234", "group_add": [777]}, "id -G", "0 777"),
        ({"working_dir": "/srv"}, "pwd", "/srv"),
        ({"hostname": "box"}, "cat /proc/sys/kernel/hostname", "box"),
        ({"environment": {"A": "x y", "N": 3}}, 'echo "$A$N"', "x y3"),
        ({"init": False}, "cat /proc/1/comm", "sh"),
        ({"tmpfs": {"/t": "size=1m"}}, "df -k --output=size /t | tail -n 1 | tr -d ' '", "1024"),
        ({"shm_size": "2m"}, "df -k --output=size /dev/shm | tail -n 1 | tr -d ' '", "2048"),
        ({"read_only": True}, "touch /x 2>/dev/null || echo refused", "refused"),
        ({"inputs": {"/in/a": "text"}}, "cat /in/a", "text"),
        ({"cpuset_cpus": "0"}, "nproc", "1"),
        ({"oom_score_adj": 500}, "cat /proc/self/oom_score_adj", "500"),
        ({"ulimits": {"nofile": (64, 128)}}, "ulimit -Sn; ulimit -Hn", "64\n128"),
        (
            {"devices": ["/dev/null:/dev/nothing"]},
            "echo x > /dev/nothing; test -c /dev/nothing && echo there",
            "there",
        ),
        ({"dns": ["10.9.8.7"], "network": "bridge"}, "grep nameserver /etc/resolv.conf", "nameserver 10.9.8.7"),
        ({"dns_search": "example.org", "network": "bridge"}, "grep search /etc/resolv.conf", "search example.org"),
        ({"extra_hosts": {"db": "10.9.8.7"}}, "grep -w db /etc/hosts | tr '\\t' ' '", "10.9.8.7 db"),
        (
            {"extra_hosts": ["host.docker.internal:10.9.8.7"]},
            "grep docker.internal /etc/hosts | cut -f 1",
            "10.9.8.7",
        ),
        ({"network_mode": "bridge"}, "ls -1 /sys/class/net", "eth0\nlo"),
        ({"cap_drop": ["ALL"]}, "grep CapEff /proc/self/status | tr -d '\\t'", "CapEff:0000000000000000"),
        ({"cap_drop": ["ALL"], "cap_add": ["KILL"]}, "grep CapEff /proc/self/status | cut -f 2", f"{1 << 5:016x}"),
        ({"security_opt": ["seccomp=unconfined"]}, "grep Seccomp: /proc/self/status | cut -f 2", "0"),
        (
            {"sysctls": {"net.ipv4.ip_unprivileged_port_start": 5}},
            "cat /proc/sys/net/ipv4/ip_unprivileged_port_start",
            "5",
        ),
    ],
)
def test_a_process_inside_sees_it(bench: ArgumentBench, arguments: dict[str, Any], script: str, says: str) -> None:
    without = bench.create(script=script, tty=True)
    assert bench.start(without) != says
    assert bench.run(script, **arguments) == says


def test_a_process_of_the_hosts_pid_namespace_sees_the_hosts(bench: ArgumentBench) -> None:
    script = "test $$ -lt 100 && echo alone || echo among others"
    assert [bench.run(script), bench.run(script, pid_mode="host")] == ["alone", "among others"]


#: Tells which of the files that the engine writes a root process of the container cannot.
OWN_FILES = "for file in hosts resolv.conf hostname; do echo >> /etc/$file && echo written || echo refused; done"


@pytest.mark.parametrize("arguments", [{}, {"network": "bridge"}, {"network": "host"}])
def test_the_files_that_the_engine_writes_are_read_only_unless_the_task_says_so(
    bench: ArgumentBench, arguments: dict[str, Any]
) -> None:
    script = f"({OWN_FILES}) 2>/dev/null"
    assert bench.run(script, **arguments) == "\n".join(["refused"] * 3)
    assert bench.run(script, sandbox=False, **arguments) == "\n".join(["written"] * 3)


def test_they_are_so_where_a_task_has_every_right(bench: ArgumentBench) -> None:
    told = bench.inspect(bench.create(privileged=True))["HostConfig"]["ReadonlyPaths"]
    assert told == ["/etc/hosts", "/etc/resolv.conf", "/etc/hostname"]
    assert bench.inspect(bench.create(privileged=True, sandbox=False))["HostConfig"]["ReadonlyPaths"] == []


def test_a_task_may_have_no_network_or_the_hosts_or_that_of_another_container(bench: ArgumentBench) -> None:
    script = "cat /proc/sys/kernel/hostname; cat /sys/class/net/eth0/address 2>/dev/null || echo none"
    assert bench.run(script, network_mode="none", hostname="box") == "box\nnone"
    assert bench.run(script, network_mode="host").splitlines()[0] == bench.ask("GET", "/info")["Name"]
    lender = bench.create(script="sleep 60", network_mode="bridge")
    bench.engine.start(lender)
    facts = bench.inspect(lender)
    lent = [facts["Config"]["Hostname"], facts["NetworkSettings"]["MacAddress"]]
    assert bench.run(script, network_mode=f"container:{lender}").splitlines() == lent
    assert bench.run(script, network_mode="bridge").splitlines() != lent


def test_a_log_of_limited_size_keeps_its_end(bench: ArgumentBench) -> None:
    script = "i=0; while [ $i -lt 3000 ]; do echo line $i of the log; i=$((i + 1)); done"
    whole = bench.create(script=script, tty=True)
    limited = bench.create(script=script, tty=True, log_opts_max_size="16k")
    for container in (whole, limited):
        bench.start(container)
    kept = [b"".join(bench.engine.read_logs(container)) for container in (whole, limited)]
    assert [b"line 2999 of" in log for log in kept] == [True, True]
    assert [b"line 0 of" in log for log in kept] == [True, False]


def test_a_file_of_variables_stands_under_environment(
    bench: ArgumentBench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "job.env").write_text("# of the job\n\nexport A='from the file'\nB=b=1\n")
    said = bench.run('echo "$A, $B, $C"', env_file="job.env", environment={"B": "written", "C": "c"})
    assert said == "from the file, written, c"


def test_a_container_joins_every_network(bench: ArgumentBench) -> None:
    with bench.network("one") as one, bench.network("two") as two:
        container = bench.create(networks=[one, two])
        assert sorted(bench.inspect(container)["NetworkSettings"]["Networks"]) == sorted([one, two])


def test_a_further_network_that_is_missing_is_told(bench: ArgumentBench) -> None:
    with pytest.raises(LaunchRefusedError, match="network orc-nowhere not found") as refused:
        bench.start(bench.create(networks=["bridge", "orc-nowhere"]))
    assert refused.value.code == "network_missing"


def test_a_port_answers_at_the_host(bench: ArgumentBench) -> None:
    container = bench.create(script="sleep 60", network="bridge", ports=["127.0.0.1::80"])
    bench.engine.start(container)
    (told,) = bench.inspect(container)["NetworkSettings"]["Ports"]["80/tcp"]
    assert told["HostIp"] == "127.0.0.1"
    assert int(told["HostPort"]) > 0


def test_a_name_of_ones_own_begins_the_containers(bench: ArgumentBench) -> None:
    first, second = bench.create(container_name="load"), bench.create(container_name="load")
    names = [bench.inspect(container)["Name"] for container in (first, second)]
    assert all(name.startswith(f"/load-{bench.deployment}-") for name in names)
    assert len(set(names)) == len(names)


def test_a_share_of_disk_time_is_given_or_the_engine_says_that_it_cannot(bench: ArgumentBench) -> None:
    with capture_logs() as said:
        weight = bench.inspect(bench.create(blkio_weight=100))["HostConfig"]["BlkioWeight"]
    warned = [entry["warning"] for entry in said if entry["event"] == "engine.warning"]
    assert weight == 100 or "does not support Block I/O weight" in "".join(warned)


def test_labels_of_ones_own_stand_beside_ours(bench: ArgumentBench) -> None:
    labels = bench.inspect(bench.create(labels={"team": "data"}))["Config"]["Labels"]
    assert labels["team"] == "data"
    assert labels["orchestrator.dag_id"] == "d"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"runtime": "nowhere"}, r"(?i)unknown runtime"),
        ({"storage_opt": {"size": "1G"}}, r"storage-opt"),
        ({"platform": "linux/s390x"}, r"does not match the specified platform"),
        ({"device_requests": [{"count": -1, "capabilities": [["gpu"]]}]}, r"could not select device driver"),
        ({"devices": ["/dev/nowhere"]}, r"/dev/nowhere"),
        ({"ulimits": {"nowhere": 1}}, r"(?i)nowhere"),
        ({"sysctls": {"kernel.nowhere": 1}}, r"kernel.nowhere"),
        ({"cap_add": ["NOWHERE"]}, r"(?i)NOWHERE"),
    ],
)
def test_what_this_engine_cannot_do_it_refuses_in_its_own_words(
    bench: ArgumentBench, arguments: dict[str, Any], says: str
) -> None:
    with pytest.raises(LaunchRefusedError, match=says):
        bench.start(bench.create(**arguments))

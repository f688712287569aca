"""A stand-in for the official Python image, made of Debian's own packages where no registry can be reached, and
carrying what pip needs to work behind a private certificate authority or a package index of the site's own.
"""

import json
import shutil
import ssl
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from orchestrator.bootstrap.machine import Machine, install_packages
from orchestrator.bootstrap.steps import Say
from orchestrator.errors import RepairError
from orchestrator.images.calls import ImageApi, engine_calls
from orchestrator.images.references import OFFLINE_REPOSITORY

#: Python version -> the Debian release that has it.
RELEASES: Mapping[str, str] = {"3.13": "trixie"}

_PACKAGES = ("ca-certificates", "python3", "python3-pip", "python3-venv")
_HOST_BUNDLE = Path("/etc/ssl/certs/ca-certificates.crt")
_BUNDLE = "/usr/local/share/orchestrator/ca-bundle.crt"
_KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
#: What only a build of the file system needs, or what says something of the machine it was made on.
_TRIMMED = (
    "var/cache/apt/*.bin", "var/cache/apt/archives/*.deb", "var/lib/apt/lists/*", "var/log/*.log", "var/log/apt/*",
    "usr/share/man/*", "usr/share/info/*", "usr/share/locale/*", "usr/share/doc/*/changelog*",
    "usr/share/doc/*/NEWS*", "etc/resolv.conf", "etc/hostname", "etc/machine-id",
)  # fmt: skip
_ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "LANG": "C.UTF-8",
    "PIP_BREAK_SYSTEM_PACKAGES": "1",
    "PIP_ROOT_USER_ACTION": "ignore",
    "PIP_CERT": _BUNDLE,
    "SSL_CERT_FILE": _BUNDLE,
    "REQUESTS_CA_BUNDLE": _BUNDLE,
}
#: Settings of the host's pip that its containers need as well.
_INDEX_SETTINGS = ("index-url", "extra-index-url", "trusted-host", "proxy")


def build_offline_base(api: ImageApi, machine: Machine, home: Path, version: str, say: Say) -> str:
    """Build the image for this Python version and load it into the engine; its reference. Takes about half a
    minute and a package mirror. Needs root on Debian. `RepairError`, `EngineUnavailableError`."""
    release = RELEASES.get(version)
    if release is None:
        raise RepairError(
            f"no Debian release is known that has Python {version}",
            fix=f"set images.base to a python of {', '.join(RELEASES)}, or load the image with `docker load`",
        )
    if machine.which("debootstrap") is None or not _KEYRING.exists():
        install_packages(machine, ("debootstrap", "debian-archive-keyring"), say)
    with _scratch_folder(home, machine, say) as root:
        say(f"building a base image from Debian {release}'s packages")
        machine.run(
            ("debootstrap", "--variant=minbase", f"--include={','.join(_PACKAGES)}", f"--keyring={_KEYRING}",
             release, str(root), *debian_mirror()),
            say,
        )  # fmt: skip
        found = _python_version(root)
        if found != version:
            raise RepairError(f"Debian {release} has Python {found}, not {version}", fix="report this as a fault")
        furnish(root, pip_settings(say))
        reference = f"{OFFLINE_REPOSITORY}:{version}"
        if api.find(reference) is None:  # or another process was quicker: its id is in hashes by now
            say(f"loading it into the engine as {reference}")
            _load(api, root, reference)
    return reference


def debian_mirror() -> tuple[str, ...]:
    """Where this machine gets Debian's packages from, if it does; empty: debootstrap knows its own address."""
    command = ("apt-get", "indextargets", "--format", "$(REPO_URI) $(CODENAME) $(ORIGIN)", "Created-By: Packages")
    told = subprocess.run(command, check=False, capture_output=True, text=True).stdout
    return mirror_among(told)


def mirror_among(targets: str) -> tuple[str, ...]:
    """The first address in a list of `address suite origin` that holds whole releases of Debian, if any."""
    for line in targets.splitlines():
        address, *names = line.split()
        if names[-1:] == ["Debian"] and not any("-" in name for name in names[:-1]):
            return (address.rstrip("/"),)
    return ()


def furnish(root: Path, pip: Mapping[str, str]) -> None:
    """Make a fresh Debian file system a base for task images: `python`, certificates, pip's settings, and
    nothing that only its making needed."""
    (root / "usr/local/bin/python").symlink_to("/usr/bin/python3")
    bundle = root / _BUNDLE.lstrip("/")
    bundle.parent.mkdir(parents=True)
    source = host_bundle()
    bundle.write_bytes(source.read_bytes() if source else (root / _HOST_BUNDLE.relative_to("/")).read_bytes())
    shutil.copyfile(bundle, root / _HOST_BUNDLE.relative_to("/"))
    if pip:
        lines = [f"{name} = {value}" for name, value in sorted(pip.items())]
        (root / "etc/pip.conf").write_text("\n".join(["[global]", *lines]) + "\n")
    for pattern in _TRIMMED:
        for path in root.glob(pattern):
            _drop(path)


def host_bundle() -> Path | None:
    """The certificate authorities of this machine in one file; None where it has none."""
    told = ssl.get_default_verify_paths().cafile
    return next((path for path in (Path(told or ""), _HOST_BUNDLE) if path.is_file()), None)


def pip_settings(say: Say) -> dict[str, str]:
    """Where the host's pip looks for packages, as far as a container can look there too: addresses on the
    network without a password in them."""
    told = subprocess.run(
        (sys.executable, "-m", "pip", "config", "list"), check=False, capture_output=True, text=True
    ).stdout
    return carried_settings(told, say)


def carried_settings(listing: str, say: Say) -> dict[str, str]:
    """The part of a `pip config list` that containers need."""
    found: dict[str, str] = {}
    for line in listing.splitlines():
        name, _, quoted = line.partition("=")
        key = name.rpartition(".")[2]
        if key not in _INDEX_SETTINGS:
            continue
        values = [value for value in quoted.strip("'\"").replace("\\n", " ").split() if _reachable(value, key, say)]
        if values:
            found[key] = " ".join(values)
    return found


def _reachable(value: str, key: str, say: Say) -> bool:
    if key == "trusted-host":
        return True
    parts = urlsplit(value)
    if parts.password or parts.username:
        say(f"pip's {key} is left out of the image, because there is a password in it")
        return False
    return parts.scheme in ("http", "https")


def _python_version(root: Path) -> str:
    return (root / "usr/bin/python3").readlink().name.removeprefix("python")


def _drop(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()


def _load(api: ImageApi, root: Path, reference: str) -> None:
    """Import the file system as an image. Its times stay as they are: compiled Python files go by them."""
    repository, _, tag = reference.partition(":")
    changes = [f"ENV {name}={value}" for name, value in _ENVIRONMENT.items()]
    changes += ['CMD ["python3"]', "LABEL orchestrator.image.kind=base"]
    command = ("tar", "-C", str(root), "--sort=name", "--numeric-owner", "--exclude=./dev/*", "-c", ".")
    with subprocess.Popen(command, stdout=subprocess.PIPE) as tar, engine_calls():
        told: str = api.client().import_image_from_stream(
            tar.stdout, repository=repository, tag=tag, changes=changes
        )
    last = json.loads(told.splitlines()[-1]) if told else {}
    if tar.returncode != 0 or "error" in last:
        raise RepairError(
            f"the engine did not take the base image: {last.get('error', f'tar ended with {tar.returncode}')}",
            fix="see that the engine's disk has a gigabyte free, then `orchestrator doctor --fix` again",
        )


@contextmanager
def _scratch_folder(home: Path, machine: Machine, say: Say) -> Iterator[Path]:
    """A folder for a file system, removed at the end; never through a mount that a broken-off debootstrap left."""
    home.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="base-image-", dir=home)).resolve()
    root = folder / "root"
    root.mkdir()
    try:
        yield root
    finally:
        for mount in reversed(_mounts_below(folder)):
            machine.run(("umount", mount), say)
        shutil.rmtree(folder)


def _mounts_below(folder: Path) -> list[str]:
    mounts = [line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines()]
    return [mount for mount in mounts if mount.startswith(f"{folder}/")]

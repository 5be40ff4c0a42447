"""Packs made in memory are packs to git, and their objects what was written."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from recorded import git, make_repository

from runner.git import packs
from runner.git.objects import ObjectStore
from runner.git.packs import Part

Objects = list[tuple[str, str, bytes]]
QUICK = settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
EDGES = st.sampled_from([0, 1, 15, 16, 2047, 2048, 65_534, 65_535, 65_536, 131_070, 300_000])
CONTENT = st.binary(max_size=400) | EDGES.map(lambda size: b"x" * size)
TAG = "object {}\ntype commit\ntag x\ntagger Ada <ada@example.com> 1700000000 +0000\n\nx\n"


def blob(content: bytes) -> tuple[str, str, bytes]:
    header = f"blob {len(content)}\0".encode()
    return hashlib.sha1(header + content, usedforsecurity=False).hexdigest(), "blob", content


BLOBS = st.lists(CONTENT.map(blob), min_size=1, max_size=9, unique_by=lambda each: each[0])


def add(folder: Path, part: Part) -> str:
    """Put a pack into a repository; its path without suffix."""
    pack = packs.render(part)
    place = folder / ".git/objects/pack" / pack.name
    place.with_suffix(".pack").write_bytes(pack.content)
    place.with_suffix(".idx").write_bytes(pack.index)
    return str(place)


@given(objects=BLOBS)
@QUICK
def test_git_accepts_what_was_packed(
    tmp_path_factory: pytest.TempPathFactory, objects: Objects
) -> None:
    """Git verifies pack and index, makes the same index itself, and reads every object."""
    folder = fresh(tmp_path_factory)
    place = add(folder, packs.part(objects))
    listed = git(folder, "verify-pack", "-v", f"{place}.pack").splitlines()
    assert {line.split()[0] for line in listed if " blob " in line} == {each[0] for each in objects}
    git(folder, "index-pack", "--strict", "-o", f"{folder}/own.idx", f"{place}.pack")
    assert (folder / "own.idx").read_bytes() == Path(f"{place}.idx").read_bytes()
    for oid, _, content in objects:
        assert git(folder, "cat-file", "-s", oid) == str(len(content))
    assert not git(folder, "fsck", "--strict", "--full", "--no-dangling")


def fresh(factory: pytest.TempPathFactory) -> Path:
    return make_repository(factory.mktemp("repository") / "it")


def test_every_kind_of_object(tmp_path: Path) -> None:
    """Commits, trees and tags are packed as blobs are."""
    folder = make_repository(tmp_path / "it")
    commit = git(folder, "rev-parse", "main")
    tag = git(folder, "mktag", stdin=TAG.format(commit).encode())
    names = [commit, git(folder, "rev-parse", "main^{tree}"), tag]
    with ObjectStore(folder / ".git", folder / ".git/objects") as store:
        objects = [store.read(name) for name in names]
    for name in names:
        (folder / ".git/objects" / name[:2] / name[2:]).unlink()
    add(folder, packs.part(objects))
    assert [git(folder, "cat-file", "-t", name) for name in names] == ["commit", "tree", "tag"]
    assert not git(folder, "fsck", "--strict", "--full", "--no-dangling")


@given(groups=st.lists(BLOBS, min_size=1, max_size=4))
@QUICK
def test_joined_packs_have_each_object_once(
    tmp_path_factory: pytest.TempPathFactory, groups: list[Objects]
) -> None:
    """Packs that share objects make one pack with each of them once."""
    folder = fresh(tmp_path_factory)
    joined = packs.join([packs.part(objects) for objects in groups])
    place = add(folder, joined)
    listed = git(folder, "verify-pack", "-v", f"{place}.pack").splitlines()
    found = sorted(line.split()[0] for line in listed if " blob " in line)
    assert found == sorted({oid for objects in groups for oid, _, _ in objects})


@given(objects=BLOBS)
@QUICK
def test_files_of_a_pack_are_read_back(objects: Objects) -> None:
    """What is read from the two files is what they were made of."""
    part = packs.part(objects)
    pack = packs.render(part)
    assert packs.read(pack.content, pack.index) == part


def test_no_parts_make_no_pack() -> None:
    """Nothing, and parts without objects, join to nothing."""
    assert packs.join([]) == packs.join([packs.part([])]) == Part(body=b"", entries=())

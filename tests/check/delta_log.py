"""Reads a Delta table's log without any Delta library: what the checker stands on must not be what it checks."""

from __future__ import annotations

import io
import json
import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Iterator
from urllib.parse import unquote, urlparse

import pyarrow.parquet as parquet

COMMIT = re.compile(r"^_delta_log/(\d{20})\.json$")
CHECKPOINT = re.compile(r"^_delta_log/(\d{20})\.checkpoint\.parquet$")


class LogError(Exception):
    """The log can't be read at all."""


class Folder:
    """A table in a local folder."""

    def __init__(self, root: Path):
        self.root = root

    def sizes(self) -> dict[str, int]:
        """Every object below the root with its size."""
        found = {}
        for folder, _, names in os.walk(self.root):
            for name in names:
                path = Path(folder, name)
                try:
                    found[path.relative_to(self.root).as_posix()] = path.stat().st_size
                except FileNotFoundError:
                    pass  # a temporary file of a running writer
        return found

    def read(self, key: str) -> bytes:
        return (self.root / key).read_bytes()

    def local(self, key: str, scratch: Path) -> Path:
        return self.root / key


class Bucket:
    """A table below a prefix of an S3 bucket; keys and endpoint as in the environment of the AWS tools."""

    def __init__(self, url: str, endpoint: str | None, region: str):
        import boto3  # only where it is needed

        parts = urlparse(url)
        self.bucket, self.prefix = parts.netloc, parts.path.strip("/") + "/"
        self.client = boto3.client("s3", endpoint_url=endpoint, region_name=region)

    def sizes(self) -> dict[str, int]:
        found = {}
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=self.prefix)
        for page in pages:
            for item in page.get("Contents", []):
                found[item["Key"][len(self.prefix) :]] = item["Size"]
        return found

    def read(self, key: str) -> bytes:
        return self.client.get_object(Bucket=self.bucket, Key=self.prefix + key)["Body"].read()

    def local(self, key: str, scratch: Path) -> Path:
        path = scratch / key.replace("/", "__")
        path.write_bytes(self.read(key))
        return path


def open_store(root: str, table: str, endpoint: str | None, region: str) -> Folder | Bucket:
    if root.startswith(("s3://", "s3a://")):
        return Bucket(f"{root.rstrip('/')}/{table}", endpoint, region)
    return Folder(Path(root) / table)


@dataclass
class Commit:
    version: int
    actions: list[dict[str, Any]]

    def of(self, kind: str) -> Iterator[dict[str, Any]]:
        return (action[kind] for action in self.actions if action.get(kind) is not None)

    def record(self) -> dict[str, Any] | None:
        """What an ingest commit says about itself."""
        for info in self.of("commitInfo"):
            if "tickhouse" in info:
                return info["tickhouse"]
        return None


@dataclass
class Table:
    """State after the newest commit, and what is wrong with the log itself."""

    version: int
    adds: dict[str, dict[str, Any]]
    transactions: dict[str, int]
    metadata: dict[str, Any]
    commits: list[Commit]
    record: dict[str, Any] | None
    sizes: dict[str, int]
    problems: list[str] = field(default_factory=list)
    """Of a log that was cleaned: the newest record up to its checkpoint, if it is there."""
    base: dict[str, Any] | None = None
    is_cleaned: bool = False

    def orphans(self) -> list[str]:
        """Data files that no commit of the log ever named."""
        named = {unquote(add["path"]) for commit in self.commits for add in commit.of("add")} | set(self.adds)
        return sorted(key for key in self.sizes if key.endswith(".parquet") and not key.startswith("_") and key not in named)


def read_table(store: Folder | Bucket) -> Table:
    sizes = store.sizes()
    versions = sorted(int(match[1]) for key in sizes if (match := COMMIT.match(key)))
    checkpoints = sorted(int(match[1]) for key in sizes if (match := CHECKPOINT.match(key)))
    problems: list[str] = []
    if not versions and not checkpoints:
        raise LogError("there is no _delta_log")
    adds: dict[str, dict[str, Any]] = {}
    transactions: dict[str, int] = {}
    metadata: dict[str, Any] = {}
    begin = 0
    if not versions or versions[0] != 0:
        usable = [version for version in checkpoints if not versions or version + 1 >= versions[0]]
        if not usable:
            raise LogError(f"the log begins at {versions[0]} and no checkpoint covers what is before")
        begin = usable[0] + 1
        adds, transactions, metadata = _read_checkpoint(store, usable[0])
    versions = [version for version in versions if version >= begin]
    if versions != list(range(begin, begin + len(versions))):
        gaps = sorted(set(range(begin, versions[-1] + 1)) - set(versions))
        problems.append(f"versions {gaps[:10]} are missing in the log")

    base = _older_record(store, sizes, begin)
    commits, record = [], base
    ever = set(adds)
    for version in versions:
        body = store.read(f"_delta_log/{version:020}.json")
        if not body.strip():
            problems.append(f"version {version} is empty")
        try:
            commit = Commit(version, [json.loads(line) for line in body.splitlines() if line.strip()])
        except ValueError as error:
            problems.append(f"version {version} is torn: {error}")
            continue
        commits.append(commit)
        for remove in commit.of("remove"):
            if adds.pop(unquote(remove["path"]), None) is None:
                problems.append(f"version {version} removes {remove['path']}, which is not there")
        for add in commit.of("add"):
            path = unquote(add["path"])
            if path in ever:
                problems.append(f"version {version} adds {path} a second time")
            ever.add(path)
            adds[path] = add
        for txn in commit.of("txn"):
            transactions[txn["appId"]] = txn["version"]
        for changed in commit.of("metaData"):
            metadata = changed
        record = commit.record() or record
        if version in checkpoints:
            in_adds, in_transactions, _ = _read_checkpoint(store, version)
            if set(in_adds) != set(adds):
                problems.append(f"the checkpoint of version {version} has {len(in_adds)} files, its log {len(adds)}")
            if in_transactions != transactions:
                problems.append(f"the checkpoint of version {version} has transactions {in_transactions}, its log {transactions}")
    version = versions[-1] if versions else checkpoints[-1]
    return Table(version, adds, transactions, metadata, commits, record, sizes, problems, base, begin > 0)


def _older_record(store: Folder | Bucket, sizes: dict[str, int], begin: int) -> dict[str, Any] | None:
    older = sorted((int(match[1]) for key in sizes if (match := COMMIT.match(key)) and int(match[1]) < begin), reverse=True)
    for version in older:
        body = store.read(f"_delta_log/{version:020}.json")
        if record := Commit(version, [json.loads(line) for line in body.splitlines() if line.strip()]).record():
            return record
    return None


def _read_checkpoint(store: Folder | Bucket, version: int):
    body = store.read(f"_delta_log/{version:020}.checkpoint.parquet")
    rows = parquet.read_table(io.BytesIO(body), columns=["add", "txn", "metaData"])
    adds: dict[str, dict[str, Any]] = {}
    transactions: dict[str, int] = {}
    metadata: dict[str, Any] = {}
    for row in rows.to_pylist():
        if (add := row["add"]) and add.get("path"):
            adds[unquote(add["path"])] = add
        if (txn := row["txn"]) and txn.get("appId"):
            transactions[txn["appId"]] = txn["version"]
        if (changed := row["metaData"]) and changed.get("id"):
            metadata = changed
    return adds, transactions, metadata

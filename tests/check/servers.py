"""Kafka and the S3 server of a run, by the scripts of tests/servers."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
SERVERS = REPOSITORY / "tests" / "servers"


def unwind_on_sigterm() -> None:
    """`finally` clauses stop what was started; by default SIGTERM skips them."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))


def free_ports(count: int) -> list[int]:
    """Of the loopback; see lib.sh for which."""
    script = f"source '{SERVERS}/lib.sh' && free_ports {count}"
    return [int(port) for port in subprocess.check_output(["bash", "-c", script], text=True).split()]


@dataclass
class Servers:
    """Kafka and, if wanted, the S3 server, in a folder of the run."""

    folder: Path
    running: list[tuple[str, Path]] = field(default_factory=list)

    def start(self, script: str, *more: str) -> dict[str, str]:
        home = self.folder / script.removesuffix(".sh")
        if (script, home) not in self.running:
            self.running.append((script, home))
        done = subprocess.run([SERVERS / script, "start", home, *more], stdout=subprocess.PIPE, text=True)
        if done.returncode != 0:
            raise SystemExit(f"{script} did not start")
        return dict(line.split("=", 1) for line in done.stdout.splitlines())

    def stop(self) -> None:
        for script, home in reversed(self.running):
            subprocess.run([SERVERS / script, "stop", home], check=False)

    def stop_one(self, script: str) -> None:
        for started in [one for one in self.running if one[0] == script]:
            subprocess.run([SERVERS / script, "stop", started[1]], check=False)
            self.running.remove(started)


def run_in_folder(execute: Callable[[Path, Servers], int], keep: Path | None, prefix: str) -> int:
    """The exit code of `execute`; its folder stays where it was asked for or something was found."""
    folder = keep or Path(tempfile.mkdtemp(prefix=prefix))
    folder.mkdir(parents=True, exist_ok=True)
    servers = Servers(folder)
    code = 1
    try:
        code = execute(folder, servers)
    finally:
        servers.stop()
        if code == 0 and not keep:
            shutil.rmtree(folder)
        else:
            print(f"logs and tables are in {folder}", file=sys.stderr)
    return code

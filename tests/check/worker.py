"""An ingest process that a test starts, watches by its log, and ends in every way there is."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

STOP_SECONDS = 25
READING = b" reading "
OPENED = b" ingesting "
COMMITTED = re.compile(rb" committed version=")


@dataclass
class Launcher:
    """Everything that is the same for all workers of a lake."""

    binary: Path
    brokers: str
    topic: str
    table: str
    folder: Path
    flags: list[str] = field(default_factory=list)
    environment: dict[str, str] = field(default_factory=dict)
    started: int = 0

    def start(self, name: str, *more: str, environment: dict[str, str] | None = None) -> Worker:
        self.started += 1
        log = self.folder / f"{name}-{self.started:04}.log"
        command = [str(self.binary), "ingest", "--brokers", self.brokers, "--topic", self.topic, "--table", self.table]
        # Topics of these tests hold poison, at times nothing else.
        command += ["--max-dead-share", "1"]
        with log.open("wb") as out:
            process = subprocess.Popen(
                [*command, *self.flags, *more],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                env=os.environ | self.environment | (environment or {}) | {"NO_COLOR": "1"},
            )
        return Worker(name, process, log)


@dataclass
class Worker:
    name: str
    process: subprocess.Popen
    log: Path
    """Before this is in the log the process has no handler for signals yet."""
    opened: bytes = OPENED

    def alive(self) -> bool:
        return self.process.poll() is None

    def says(self, text: bytes) -> bool:
        return text in self.log.read_bytes()

    def commits(self) -> int:
        return len(COMMITTED.findall(self.log.read_bytes()))

    def tail(self, lines: int = 8) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def wait_for(self, text: bytes, seconds: float) -> bool:
        """True when the log has the text; False when the time is over or the process gone."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if self.says(text):
                return True
            if not self.alive():
                return False
            time.sleep(0.02)
        return False

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def pause(self) -> None:
        self.process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        self.process.send_signal(signal.SIGCONT)

    def terminate(self) -> tuple[int | None, float]:
        """SIGTERM; exit code (None: it did not stop in time and was killed) and seconds."""
        self.wait_for(self.opened, 30)
        begun = time.monotonic()
        self.process.terminate()
        try:
            code = self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
            code = None
        return code, time.monotonic() - begun


def new_file(folder: Path, seconds: float, ending: str) -> bool:
    """Waits until a file with that ending appears anywhere below a folder."""

    def present() -> set[str]:
        return {os.path.join(at, name) for at, _, names in os.walk(folder) for name in names if name.endswith(ending)}

    before, end = present(), time.monotonic() + seconds
    while time.monotonic() < end:
        if present() - before:
            return True
        time.sleep(0.001)
    return False

"""Three Kafka nodes, brokers and controllers in one, each of which can be killed and started again."""

from __future__ import annotations

import base64
import os
import shutil
import socket
import subprocess
import time
import uuid
from pathlib import Path

from confluent_kafka.admin import AdminClient

from servers import REPOSITORY, SERVERS, free_ports

NODES = (1, 2, 3)
HEAP = "-Xmx512m"
READY_SECONDS = 90


class Cluster:
    def __init__(self, folder: Path):
        self.folder = folder
        shutil.rmtree(folder, ignore_errors=True)
        subprocess.run([SERVERS / "kafka.sh", "download"], check=True)
        cache = Path(os.environ.get("TICKHOUSE_CACHE", REPOSITORY / "target" / "servers"))
        self.libs = next(cache.glob("kafka-*/libs"))
        ports = free_ports(2 * len(NODES))
        self.clients, self.controllers = dict(zip(NODES, ports)), dict(zip(NODES, ports[len(NODES) :]))
        self.processes: dict[int, subprocess.Popen] = {}
        self.brokers = ",".join(f"127.0.0.1:{port}" for port in self.clients.values())
        self.configure()

    def home(self, node: int) -> Path:
        return self.folder / str(node)

    def configure(self) -> None:
        cluster_id = "A" + base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")[1:]
        voters = ",".join(f"{node}@127.0.0.1:{port}" for node, port in self.controllers.items())
        for node in NODES:
            home = self.home(node)
            home.mkdir(parents=True)
            (home / "broker.properties").write_text(f"""process.roles=broker,controller
node.id={node}
controller.quorum.voters={voters}
listeners=PLAINTEXT://127.0.0.1:{self.clients[node]},CONTROLLER://127.0.0.1:{self.controllers[node]}
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
log.dirs={home}/data
auto.create.topics.enable=false
default.replication.factor=3
min.insync.replicas=2
offsets.topic.replication.factor=3
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=3
transaction.state.log.min.isr=2
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=3
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=500
broker.session.timeout.ms=6000
broker.heartbeat.interval.ms=500
log.retention.ms=-1
""")
            (home / "log4j2.properties").write_text("""status=error
appender.console.type=Console
appender.console.name=console
rootLogger.level=warn
rootLogger.appenderRef.console.ref=console
""")
            with (home / "format.log").open("wb") as log:
                tool = ["kafka.tools.StorageTool", "format", "--ignore-formatted", "-t", cluster_id]
                subprocess.run([*self.java(node, "-Xmx256m"), *tool, "-c", home / "broker.properties"], stdout=log, stderr=log, check=True)

    def java(self, node: int, heap: str) -> list[str]:
        log = f"-Dlog4j2.configurationFile={self.home(node)}/log4j2.properties"
        return ["java", heap, "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", log, "-cp", f"{self.libs}/*"]

    def launch(self, node: int) -> None:
        with (self.home(node) / "kafka.log").open("ab") as log:
            command = [*self.java(node, HEAP), "kafka.Kafka", self.home(node) / "broker.properties"]
            self.processes[node] = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)

    def start(self) -> None:
        for node in NODES:
            self.launch(node)
        for node in NODES:
            self.wait_for(node)

    def wait_for(self, node: int) -> None:
        end = time.monotonic() + READY_SECONDS
        while time.monotonic() < end:
            with socket.socket() as one:
                if one.connect_ex(("127.0.0.1", self.clients[node])) == 0:
                    return
            if self.processes[node].poll() is not None:
                raise RuntimeError(f"node {node} has ended: see {self.home(node)}/kafka.log")
            time.sleep(0.1)
        raise RuntimeError(f"node {node} did not open its port within {READY_SECONDS} s: see {self.home(node)}/kafka.log")

    def wait_for_topic(self, topic: str) -> None:
        """A broker learns of a new topic a little later than the one that made it."""
        end = time.monotonic() + READY_SECONDS
        for port in self.clients.values():
            admin = AdminClient({"bootstrap.servers": f"127.0.0.1:{port}"})
            while topic not in admin.list_topics(timeout=30).topics:
                if time.monotonic() > end:
                    raise RuntimeError(f"the broker at port {port} does not know {topic}")
                time.sleep(0.1)

    def kill(self, node: int) -> None:
        self.processes[node].kill()
        self.processes[node].wait()

    def stop(self) -> None:
        for process in self.processes.values():
            process.terminate()
        for process in self.processes.values():
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

#!/usr/bin/env python3
"""Records what real clients and a real PostgreSQL say to each other, into tests/transcripts.

    scripts/record-transcripts.py [psql] [libpq] [pgjdbc] [asyncpg]

See docs/testing.md for what it wants and when to run it. Every client talks through a relay to a throwaway
server, on a unix socket and without a password. Process ids and cancel keys are replaced by fixed ones.
"""

import glob
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
TRANSCRIPTS = os.path.join(ROOT, "tests", "transcripts")
CLIENTS = os.path.join(TRANSCRIPTS, "clients")

OPENINGS = {80877102: "CancelRequest", 80877103: "SSLRequest", 80877104: "GSSENCRequest"}
FRONTEND = {
    "Q": "Query", "P": "Parse", "B": "Bind", "D": "Describe", "E": "Execute", "C": "Close", "S": "Sync",
    "H": "Flush", "F": "FunctionCall", "d": "CopyData", "c": "CopyDone", "f": "CopyFail", "X": "Terminate",
}
BACKEND = {
    "R": "Authentication", "S": "ParameterStatus", "K": "BackendKeyData", "Z": "ReadyForQuery",
    "1": "ParseComplete", "2": "BindComplete", "3": "CloseComplete", "T": "RowDescription",
    "t": "ParameterDescription", "n": "NoData", "D": "DataRow", "C": "CommandComplete",
    "I": "EmptyQueryResponse", "s": "PortalSuspended", "E": "ErrorResponse", "N": "NoticeResponse",
    "A": "NotificationResponse", "G": "CopyInResponse", "H": "CopyOutResponse", "d": "CopyData",
    "c": "CopyDone",
}


class Body:
    """Takes a body apart into words; what they do not explain stays one quoted word."""

    def __init__(self, data):
        self.data, self.rest, self.words = data, data, []

    def integer(self, bits):
        size = bits // 8
        value = int.from_bytes(self.rest[:size], "big", signed=True)
        self.rest = self.rest[size:]
        self.words.append(f"{value}i{bits}")
        return value

    def text(self):
        text, _, self.rest = self.rest.partition(b"\0")
        self.words.append('"' + escape(text, '"') + '"')

    def raw(self, size=None):
        raw = self.rest if size is None else self.rest[:size]
        self.rest = self.rest[len(raw):]
        if raw:
            self.words.append("'" + escape(raw, "'") + "'")

    def many(self, bits, each):
        for _ in range(self.integer(bits)):
            each()

    def value(self):
        size = self.integer(32)
        if size >= 0:
            self.raw(size) if size else None


def escape(data, quote):
    shown = {ord("\\"): "\\\\", ord(quote): "\\" + quote, 10: "\\n", 9: "\\t", 13: "\\r"}
    return "".join(
        shown.get(byte) or (chr(byte) if 32 <= byte < 127 else f"\\x{byte:02x}") for byte in data
    )


def take_apart(name, data):
    body = Body(data)
    i8, i16, i32 = (lambda bits=bits: body.integer(bits) for bits in (8, 16, 32))
    if name in ("SSLRequest", "GSSENCRequest"):
        i32()
    elif name == "CancelRequest":
        i32(), i32(), i32()
    elif name == "StartupMessage":
        i32()
        while body.rest not in (b"", b"\0"):
            body.text()
    elif name in ("Query", "CommandComplete", "CopyFail"):
        body.text()
    elif name == "Parse":
        body.text(), body.text(), body.many(16, i32)
    elif name == "Bind":
        body.text(), body.text(), body.many(16, i16), body.many(16, body.value), body.many(16, i16)
    elif name in ("Describe", "Close"):
        body.raw(1), body.text()
    elif name == "Execute":
        body.text(), i32()
    elif name == "Authentication":
        i32()
    elif name == "ParameterStatus":
        body.text(), body.text()
    elif name == "BackendKeyData":
        i32(), i32()
    elif name == "RowDescription":
        body.many(16, lambda: (body.text(), i32(), i16(), i32(), i16(), i32(), i16()))
    elif name == "DataRow":
        body.many(16, body.value)
    elif name in ("ErrorResponse", "NoticeResponse"):
        while body.rest not in (b"", b"\0"):
            body.raw(1), body.text()
    elif name == "ParameterDescription":
        body.many(16, i32)
    elif name == "NotificationResponse":
        i32(), body.text(), body.text()
    elif name in ("CopyInResponse", "CopyOutResponse"):
        i8(), body.many(16, i16)
    if body.rest == b"\0":
        body.text()
    body.raw()
    line = " ".join([name, *body.words])
    if put_together(line) != data:
        raise SystemExit(f"{line!r} does not stand for {data!r}")
    return line


def put_together(line):
    data = b""
    pattern = r"""(-?\d+)i(8|16|32)|"((?:[^"\\]|\\.)*)"|'((?:[^'\\]|\\.)*)'"""
    for number, bits, text, raw in re.findall(pattern, line.partition(" ")[2]):
        if bits:
            data += int(number).to_bytes(int(bits) // 8, "big", signed=True)
        else:
            data += (text or raw).encode("latin-1").decode("unicode_escape").encode("latin-1")
            data += b"" if raw else b"\0"
    return data


class Relay:
    """Carries connections to the server and writes down every message, in the order they pass."""

    def __init__(self, server):
        self.server, self.lines, self.keys, self.connections = server, [], {}, 0
        self.lock, self.threads = threading.Lock(), []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            frontend, _ = self.listener.accept()
            backend = socket.socket(socket.AF_UNIX)
            backend.connect(self.server)
            self.connections += 1
            connection = Connection(self, self.connections, frontend, backend)
            for direction in (connection.from_frontend, connection.from_backend):
                thread = threading.Thread(target=direction)
                self.threads.append(thread)
                thread.start()


class Connection:
    def __init__(self, relay, number, frontend, backend):
        self.relay, self.number, self.frontend, self.backend = relay, number, frontend, backend
        self.answer_is_a_byte = threading.Event()
        self.opened = threading.Event()

    def from_frontend(self):
        stream = self.frontend.makefile("rb")
        while not self.opened.is_set():
            head = stream.read(4)
            if len(head) < 4:
                return self.backend.close()
            body = stream.read(struct.unpack(">I", head)[0] - 4)
            name = OPENINGS.get(struct.unpack(">I", body[:4])[0], "StartupMessage")
            if name == "CancelRequest":
                body = body[:4] + self.relay.keys[body[4:]]
            self.note("F", name, body, head)
            if name in ("StartupMessage", "CancelRequest"):
                self.opened.set()
            else:
                self.answer_is_a_byte.set()
            self.backend.sendall(head + self.true_key(name, body))
        self.follow(stream, "F", FRONTEND, self.backend)
        try:
            self.backend.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def true_key(self, name, body):
        if name != "CancelRequest":
            return body
        return body[:4] + next(true for true, shown in self.relay.keys.items() if shown == body[4:])

    def from_backend(self):
        stream = self.backend.makefile("rb")
        while not self.opened.is_set():
            if not self.answer_is_a_byte.wait(0.01):
                continue
            self.answer_is_a_byte.clear()
            byte = stream.read(1)
            self.note("B", "EncryptionResponse", byte, b"")
            self.frontend.sendall(byte)
        self.follow(stream, "B", BACKEND, self.frontend)
        self.frontend.shutdown(socket.SHUT_RDWR)

    def follow(self, stream, side, names, to):
        while True:
            head = stream.read(5)
            if len(head) < 5:
                return
            body = stream.read(struct.unpack(">I", head[1:])[0] - 4)
            name = names[chr(head[0])]
            shown = body
            if name == "BackendKeyData":
                shown = struct.pack(">II", 1000 + self.number, 0xC0FFEE00 + self.number & 0x7FFFFFFF)
                self.relay.keys[body] = shown
                self.relay.pids = {**getattr(self.relay, "pids", {}), body[:4]: shown[:4]}
            if name == "NotificationResponse":
                shown = self.relay.pids[body[:4]] + body[4:]
            self.note(side, name, shown, head)
            to.sendall(head + body)

    def note(self, side, name, body, _head):
        with self.relay.lock:
            self.relay.lines.append(f"{self.number} {side} {take_apart(name, body)}")


class Server:
    """A throwaway PostgreSQL on a unix socket, where everybody is trusted."""

    def __init__(self, directory):
        self.programs = max(glob.glob("/usr/lib/postgresql/*/bin"), key=lambda path: int(path.split("/")[4]))
        self.directory = directory
        self.become = []
        if os.getuid() == 0:
            shutil.chown(directory, "postgres")
            self.become = ["setpriv", "--reuid", "postgres", "--regid", "postgres", "--init-groups"]
        data = os.path.join(directory, "data")
        self.run("initdb", "-D", data, "-U", "postgres", "-A", "trust", "--locale=C.UTF-8", "--no-sync")
        options = f"-k {directory} -c listen_addresses= -c fsync=off -c timezone=UTC -c log_timezone=UTC"
        self.run("pg_ctl", "-D", data, "-w", "-l", os.path.join(directory, "log"), "-o", options, "start")
        self.sql("create role app_trust login", "postgres")
        self.sql("create database app owner app_trust", "postgres")
        self.socket = os.path.join(directory, ".s.PGSQL.5432")

    def run(self, program, *arguments):
        command = [*self.become, os.path.join(self.programs, program), *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True, cwd="/").stdout

    def sql(self, sql, database="app"):
        return self.run("psql", "-XAtq", "-h", self.directory, "-U", "postgres", "-d", database, "-c", sql)

    def stop(self):
        self.run("pg_ctl", "-D", os.path.join(self.directory, "data"), "-m", "immediate", "stop")


def libpq(port):
    return f"host=127.0.0.1 port={port} user=app_trust dbname=app"


def psql(server, _):
    program = os.path.join(server.programs, "psql")
    version = subprocess.run([program, "--version"], capture_output=True, text=True).stdout
    number = re.search(r"\d+\.\d+", version)[0]
    script = os.path.join(CLIENTS, "psql.sql")
    return f"psql {number}", lambda port: [program, "-X", "-q", "-f", script, libpq(port)]


def pipeline(_, scratch):
    program = os.path.join(scratch, "pipeline")
    flags = ["-I/usr/include/postgresql", os.path.join(CLIENTS, "pipeline.c"), "-lpq"]
    subprocess.run(["cc", "-Wall", "-o", program, *flags], check=True)
    number = subprocess.run(["pg_config", "--version"], capture_output=True, text=True).stdout
    return f"libpq {re.search(r'[0-9.]+', number)[0]}", lambda port: [program, libpq(port)]


def pgjdbc(_, __):
    jar = "/usr/share/java/postgresql.jar"
    number = re.search(r"\d+\.\d+\.\d+", " ".join(glob.glob("/usr/share/java/postgresql-*.jar")))[0]
    source = os.path.join(CLIENTS, "Jdbc.java")
    java = ["java", "-Duser.timezone=UTC", "-cp", jar, source]
    url = "jdbc:postgresql://127.0.0.1:{}/app?user=app_trust"
    return f"pgjdbc {number}", lambda port: [*java, url.format(port)]


def asyncpg(_, __):
    python = os.environ.get("PYTHON", sys.executable)
    script = "import asyncpg; print(asyncpg.__version__)"
    number = subprocess.run([python, "-c", script], capture_output=True, text=True, check=True).stdout
    session = os.path.join(CLIENTS, "asyncpg_session.py")
    url = "postgresql://app_trust@127.0.0.1:{}/app"
    return f"asyncpg {number.strip()}", lambda port: [python, session, url.format(port)]


RECORDED = {
    "psql": (psql, "psql.sql"),
    "libpq": (pipeline, "pipeline.c"),
    "pgjdbc": (pgjdbc, "Jdbc.java"),
    "asyncpg": (asyncpg, "asyncpg_session.py"),
}


def record(name, server, scratch):
    client, source = RECORDED[name]
    version, command = client(server, scratch)
    relay = Relay(server.socket)
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PG")}
    environment.update(LC_ALL="C.UTF-8", HOME=scratch)
    child = subprocess.Popen(
        command(relay.port), stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, env=environment, cwd=scratch
    )
    asleep = "select count(*) from pg_stat_activity where wait_event = 'PgSleep'"
    while child.poll() is None and server.sql(asleep).strip() != "1":
        time.sleep(0.05)
    if name == "psql":
        child.send_signal(signal.SIGINT)
    else:
        child.stdin.write(b"\n")
        child.stdin.flush()
    child.wait(60)
    for thread in relay.threads:
        thread.join(10)
    server_version = server.sql("show server_version").split()[0]
    head = [
        f"# {version} and PostgreSQL {server_version}, by scripts/record-transcripts.py {name}",
        f"# from tests/transcripts/clients/{source}, without TLS and passwords.",
        "# Process ids and cancel keys are made up.",
    ]
    with open(os.path.join(TRANSCRIPTS, f"{name}.txt"), "w") as file:
        file.write("\n".join([*head, "", *relay.lines]) + "\n")
    print(f"{name}: {len(relay.lines)} messages on {relay.connections} connections")


def main():
    with tempfile.TemporaryDirectory() as scratch, tempfile.TemporaryDirectory() as directory:
        server = Server(directory)
        try:
            for name in sys.argv[1:] or RECORDED:
                record(name, server, scratch)
        finally:
            server.stop()


main()

"""Sends schemathesis over every operation of the real binary, as people of several roles.

Fails on any 5xx, and on any answer whose status, media type or body the OpenAPI document does not declare. Bounded: a fixed
seed, a fixed number of examples, loopback only. Needs the stores of `cargo xtask stores up` (or the product's own
variables), a built binary, and schemathesis beside this interpreter.
"""

import glob
import json
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from urllib.parse import urlsplit, urlunsplit

ROOT = pathlib.Path(__file__).resolve().parents[2]
EXAMPLES = int(os.environ.get("PREAU_FUZZ_EXAMPLES", "15"))
ROLES = ["territory_admin", "school_admin", "teacher", "guardian", "pupil"]


def stores() -> dict:
    if "PREAU_DATABASE__OWNER_URL" in os.environ:
        return {
            "database_url": os.environ["PREAU_DATABASE__URL"],
            "owner_url": os.environ["PREAU_DATABASE__OWNER_URL"],
            "redis_url": os.environ["PREAU_REDIS__URL"],
        }
    return json.loads((ROOT / ".local" / "stores.json").read_text())


def named(url: str, database: str) -> str:
    return urlunsplit(urlsplit(url)._replace(path=f"/{database}"))


def psql(url: str, statement: str) -> None:
    found = sorted(glob.glob("/usr/lib/postgresql/*/bin/psql"))
    tool = found[-1] if found else "psql"
    subprocess.run([tool, "-qX", "-v", "ON_ERROR_STOP=1", "-d", url, "-c", statement], check=True)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def call(method: str, url: str, body: dict | None = None, token: str = "") -> dict:
    request = urllib.request.Request(url, method=method, data=json.dumps(body).encode() if body else None)
    request.add_header("Content-Type", "application/json")
    if token:
        request.add_header("Authorization", f"Bearer {token}")
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.load(answer)


def wait_until_ready(url: str, server: subprocess.Popen) -> None:
    end = time.monotonic() + 30
    while time.monotonic() < end:
        if server.poll() is not None:
            sys.exit("the server ended before it was ready")
        try:
            with urllib.request.urlopen(url, timeout=1):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    sys.exit("the server was not ready within 30 s")


def parameters(base: str, token: str, school: str, territory: str) -> dict:
    """Ids that lead somewhere, so that what is behind the 404 is reached."""
    listed = lambda path: call("GET", f"{base}/api/v1/schools/{school}/{path}", token=token)["items"]
    first = lambda path: (listed(path) or [{"id": school}])[0]["id"]
    return {
        "school_id": school,
        "territory_id": territory,
        "class_id": first("classes"),
        "group_id": first("groups"),
        "person_id": first("people"),
    }


def sign_in(base: str, account: dict) -> dict:
    words = {"login": account["login"], "password": account["password"], "tokens": True}
    return call("POST", f"{base}/api/v1/sessions", words)


def fuzz(base: str, account: dict, session: dict, territory: str, scratch: pathlib.Path) -> bool:
    school = account["school_id"] or session["memberships"][0]["school_id"]
    token = session["access_token"]
    known = parameters(base, token, school, territory)
    config = scratch / "schemathesis.toml"
    config.write_text("[parameters]\n" + "".join(f'{name} = "{value}"\n' for name, value in known.items()))
    tool = pathlib.Path(sys.executable).with_name("schemathesis")
    print(f"as {account['role']}", flush=True)
    done = subprocess.run(
        [
            str(tool),
            "--config-file", str(config),
            "run", f"{base}/api/openapi.json",
            "--header", f"Authorization: Bearer {token}",
            "--checks", "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance",
            # Signing the fuzzer out would leave nothing but 401 behind the door.
            "--exclude-operation-id", "delete_current_session",
            "--max-examples", str(EXAMPLES),
            "--seed", "1",
            "--no-color",
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=scratch,
        timeout=600,
    )
    tail = done.stdout if done.returncode else "\n".join(done.stdout.splitlines()[-6:])
    print(tail, flush=True)
    return done.returncode == 0


def main() -> int:
    at, database = stores(), f"preau_fuzz_{os.getpid()}"
    binary = os.environ.get("PREAU_BIN", str(ROOT / "target" / "debug" / "preau"))
    scratch = pathlib.Path(tempfile.mkdtemp(prefix="preau-fuzz-"))
    port, probe = free_port(), free_port()
    environment = os.environ | {
        "PREAU_DATABASE__URL": named(at["database_url"], database),
        "PREAU_DATABASE__OWNER_URL": named(at["owner_url"], database),
        "PREAU_REDIS__URL": at["redis_url"],
        "PREAU_REDIS__PREFIX": f"{database}:",
        "PREAU_SECRETS__MASTER_KEY": "5" * 64,
        "PREAU_HTTP__LISTEN": f"127.0.0.1:{port}",
        "PREAU_HTTP__PROBE_LISTEN": f"127.0.0.1:{probe}",
        "PREAU_LOG__FILTER": "warn",
        "PREAU_HTTP__DRAIN_MS": "0",
    }
    psql(named(at["owner_url"], "postgres"), f'CREATE DATABASE "{database}"')
    server = None
    try:
        run = lambda *words: subprocess.run([binary, *words], env=environment, check=True, stdout=subprocess.DEVNULL)
        run("migrate")
        accounts_file = scratch / "accounts.json"
        run("demo", "--pupils", "120", "--out", str(scratch / "demo"), "--accounts", str(accounts_file))
        server = subprocess.Popen([binary, "serve"], env=environment)
        base = f"http://127.0.0.1:{port}"
        wait_until_ready(f"http://127.0.0.1:{probe}/readyz", server)
        accounts = json.loads(accounts_file.read_text())
        chosen = [next(account for account in accounts if account["role"] == role) for role in ROLES]
        listed = subprocess.run([binary, "admin", "territories"], env=environment, check=True, capture_output=True)
        territory = json.loads(listed.stdout)[0]["id"]
        # All come in first: the fuzzer's wrong passwords then make some of them wait at the door.
        sessions = [sign_in(base, account) for account in chosen]
        outcomes = [fuzz(base, *each, territory, scratch) for each in zip(chosen, sessions)]
        print(f"{outcomes.count(True)} passed, {outcomes.count(False)} failed", flush=True)
        return 0 if all(outcomes) else 1
    finally:
        if server:
            server.terminate()
            server.wait(timeout=30)
        psql(named(at["owner_url"], "postgres"), f'DROP DATABASE IF EXISTS "{database}" WITH (FORCE)')
        shutil.rmtree(scratch, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())

"""A PowerShell with fakes before it, and a device that has it: sshd on a port of the loopback network."""
import base64
import json
import os
import re
import shutil
import socket
import subprocess
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
FAKES = os.path.join(ROOT, "tests/powershell/fakes")
COLLECTORS = os.path.join(ROOT, "src/catalog/collectors")
NONCE = "N0NCE"


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def part(name):
    """The text of a part as it is sent."""
    path = f"{COLLECTORS}/{name}.ps1" if name in ("updates", "eventlog") else f"{COLLECTORS}/windows/{name}.ps1"
    lines = read(path).splitlines()
    return "".join(line + "\n" for line in lines if line.strip() and not line.lstrip().startswith("#"))


def parts():
    names = sorted(name[:-4] for name in os.listdir(f"{COLLECTORS}/windows") if name.endswith(".ps1"))
    return [name for name in names if name not in ("run", "frame")] + ["updates"]


BOOTSTRAP = re.search(r'const BOOTSTRAP: &str = r#"(.*?)"#;', read(f"{ROOT}/src/script/powershell.rs"), re.S).group(1)


class Engine:
    """The fakes, compiled and in place."""

    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="rmm-powershell-")
        shutil.copytree(FAKES, self.folder, dirs_exist_ok=True)
        target = f"{self.folder}/modules/CimCmdlets/CimCmdlets.dll"
        pwsh = os.environ["RMM_PWSH"]
        done = subprocess.run([pwsh, "-NoProfile", "-NonInteractive", "-File", f"{FAKES}/compile.ps1", f"{FAKES}/Windows.cs", target], capture_output=True)
        if not os.path.exists(target) or os.path.getsize(target) == 0:
            raise SystemExit("the fakes cannot be compiled: " + (done.stdout + done.stderr).decode(errors="replace")[-3000:])
        self.environment = {"PATH": f"{self.folder}/bin:{os.environ['PATH']}", "RMM_PWSH": pwsh, "RMM_FAKES": self.folder, "PSModulePath": f"{self.folder}/modules"}

    def raw(self, data, **more):
        """The bootstrap with these bytes on its standard input."""
        encoded = base64.b64encode(BOOTSTRAP.encode("utf-16-le")).decode()
        words = ["powershell.exe", "-NoProfile", "-NonInteractive", "-ExecutionPolicy", "Bypass", "-EncodedCommand", encoded]
        environment = {**os.environ, **self.environment, **more}
        return subprocess.run([f"{self.folder}/bin/{words[0]}", *words[1:]], input=data, capture_output=True, env=environment, timeout=300)

    def run(self, script, params=None, **more):
        return self.raw((json.dumps({"script": script, "params": params or {}}) + "\n").encode(), **more)

    def frame(self, asked, seconds=40, most=5, **more):
        """Parts as (name, script, seconds, asked); what each said, by name, and what else was printed."""
        listed = [dict(zip(("name", "script", "seconds", "asked"), one)) for one in asked]
        done = self.run(part("run"), {"nonce": NONCE, "most": most, "seconds": seconds, "frame": part("frame"), "parts": listed}, **more)
        said, other = {}, []
        for line in done.stdout.decode().splitlines():
            if line.startswith(f"@{NONCE} {{"):
                answer = json.loads(line[len(NONCE) + 2 :])
                name = answer.pop("s")
                said[name] = {"twice": True} if name in said else answer
            elif line and line != f"@{NONCE} done":
                other.append(line)
        said["ended"] = done.stdout.decode().rstrip().endswith(f"@{NONCE} done") and done.returncode == 0
        return said, other

    def end(self):
        shutil.rmtree(self.folder, ignore_errors=True)


class Device:
    """A repository of rmm with one device."""

    def __init__(self, engine):
        self.engine, self.folder = engine, f"{engine.folder}/device"
        os.makedirs(f"{self.folder}/repo/devices")
        os.makedirs("/run/sshd", exist_ok=True)
        for name in ("host", "id"):
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", f"{self.folder}/{name}"], check=True)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        exports = "".join(f"export {name}='{value}'\n" for name, value in engine.environment.items())
        self.write("environment", exports + f"[ ! -e {self.folder}/mode ] || . {self.folder}/mode\n")
        self.write("config", f"""ListenAddress 127.0.0.1:{port}
HostKey {self.folder}/host
AuthorizedKeysFile {self.folder}/id.pub
PidFile none
StrictModes no
UsePAM no
PasswordAuthentication no
PermitRootLogin yes
ForceCommand . {self.folder}/environment; eval "$SSH_ORIGINAL_COMMAND"
""")
        self.server = subprocess.Popen(["/usr/sbin/sshd", "-D", "-f", f"{self.folder}/config", "-E", f"{self.folder}/log"])
        self.write("known", f"[127.0.0.1]:{port} {read(self.folder + '/host.pub')}")
        self.write("repo/rmm.toml", "")
        self.write("repo/devices/all.yaml", f"""devices:
  pc:
    os: windows
    address: 127.0.0.1
    connection: {{transport: ssh, port: {port}, user: {os.environ.get('USER', 'root')}, identityFiles: [{self.folder}/id], knownHosts: {self.folder}/known}}
""")
        for _ in range(100):
            with socket.socket() as tried:
                if tried.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.1)

    def write(self, name, text):
        with open(f"{self.folder}/{name}", "w", encoding="utf-8") as file:
            file.write(text)

    def rmm(self, *words):
        done = subprocess.run([os.environ["RMM"], "-C", f"{self.folder}/repo", *words], capture_output=True, text=True)
        return done.returncode, done.stdout, done.stderr

    def seen(self, **mode):
        """Status and reason of each section, and the facts."""
        self.write("mode", "".join(f"export {name}='{value}'\n" for name, value in mode.items()))
        code, out, err = self.rmm("collect", "pc", "--force")
        if code != 0:
            raise SystemExit(f"rmm collect: {out}{err}")
        sections = json.loads(self.rmm("facts", "pc", "--why", "--output", "json")[1])["items"]
        facts = json.loads(self.rmm("facts", "pc", "--output", "json")[1])
        return {one["section"]: (one["status"], one["reason"]) for one in sections}, facts.get("facts", facts)

    def end(self):
        self.server.terminate()
        self.server.wait()

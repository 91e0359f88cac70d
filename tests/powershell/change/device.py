"""A faked device of its own folder, and what rmm sends it: the fixed line, and a job on standard input."""
import base64, json, os, pathlib, re, shutil, subprocess, tempfile

HERE = pathlib.Path(__file__).resolve().parent
REPO = HERE.parent.parent.parent


def bootstrap():
    text = (REPO / "src/script/powershell.rs").read_text()
    return re.search(r'const BOOTSTRAP: &str = r#"(.*?)"#;', text, re.S).group(1)


def line():
    encoded = base64.b64encode(bootstrap().encode("utf-16-le")).decode()
    return "powershell.exe -NoProfile -NonInteractive -ExecutionPolicy Bypass -EncodedCommand " + encoded


def source(path):
    return (REPO / path).read_text()


def stripped(text):
    """As rmm sends it: without the lines that are comments."""
    return "".join(one + "\n" for one in text.splitlines() if not one.strip().startswith("#"))


class Device:
    def __init__(self, dll):
        self.root = pathlib.Path(tempfile.mkdtemp(prefix="rmm-fake-"))
        for name in ("Windows/System32/wbem", "Program Files", "ProgramData", "bin", "answers"):
            (self.root / name).mkdir(parents=True)
        system = self.root / "Windows/System32"
        shutil.copy(dll, self.root / "Faked.dll")
        for at in (self.root / "bin", system):
            (at / "powershell.exe").symlink_to(HERE / "powershell.exe")
        for name in ("taskkill", "cmd"):
            (system / (name + ".exe")).symlink_to(HERE / (name + ".exe"))
        for name in ("shutdown", "gpupdate", "tsdiscon", "logoff", "netsh", "regsvr32", "icacls", "wusa", "wbem/winmgmt"):
            (system / (name + ".exe")).symlink_to(HERE / "called.exe")
        for name in ("secedit", "auditpol", "bcdedit", "powercfg", "w32tm", "manage-bde"):
            (self.root / "bin" / (name + ".exe")).symlink_to(HERE / "called.exe")
        self.env = dict(os.environ, RMM_FAKE=str(self.root), SystemRoot=str(self.root / "Windows"), ProgramData=str(self.root / "ProgramData"))
        self.env["PATH"] = "%s:%s" % (self.root / "bin", os.environ["PATH"])

    def close(self):
        shutil.rmtree(self.root, ignore_errors=True)

    def state(self, name, value):
        (self.root / (name + ".json")).write_text(json.dumps(value))

    def read(self, name):
        at = self.root / (name + ".json")
        return json.loads(at.read_text()) if at.exists() else None

    def answer(self, program, code, out="", err=""):
        (self.root / "answers" / (program + ".exe")).write_text("%d\n%s\n--stderr--\n%s" % (code, out, err))

    def calls(self):
        at = self.root / "calls"
        text = at.read_text() if at.exists() else ""
        at.write_text("")
        return [one for one in text.splitlines() if one]

    def start(self, script, params, **more):
        job = json.dumps(dict(script=script, params=params, **more)) + "\n"
        made = subprocess.Popen(["sh", "-c", line()], env=self.env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        return made, job.encode("ascii")

    def run(self, script, params=None, timeout=120, **more):
        """Exit code, what was printed, and the errors."""
        made, job = self.start(script, params or {}, **more)
        out, err = made.communicate(job, timeout)
        return made.returncode, out, err.decode()

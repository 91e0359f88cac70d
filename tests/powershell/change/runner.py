"""The runner of file shares: what it carries out, what it refuses, and that nothing happens twice."""
import base64, json, subprocess, threading, time, uuid
from device import *


class Key:
    """A signing key on P-256, by OpenSSL."""

    def __init__(self, folder):
        self.file = folder / "key.pem"
        subprocess.run(["openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", self.file], check=True)
        der = subprocess.run(["openssl", "ec", "-in", self.file, "-pubout", "-outform", "DER"], check=True, capture_output=True).stdout
        self.public = base64.b64encode(der[-64:]).decode()

    def sign(self, text):
        der = subprocess.run(["openssl", "dgst", "-sha256", "-sign", self.file], input=text, check=True, capture_output=True).stdout
        numbers, at = [], 2
        for _ in range(2):
            size = der[at + 1]
            numbers.append(der[at + 2:at + 2 + size].lstrip(b"\0").rjust(32, b"\0"))
            at += 2 + size
        return b"".join(numbers)


class House:
    """A share, a device with the runner, and whoever leaves jobs."""

    def __init__(self, dll):
        self.device = Device(dll)
        self.share = self.device.root / "share"
        (self.share / "devices").mkdir(parents=True)
        self.key = Key(self.device.root)
        self.script = self.device.root / "rmm-runner.ps1"
        self.script.write_text(source("src/transport/share/runner.ps1").replace("@PUBLIC_KEY@", self.key.public))
        self.folder = self.share / "devices/ws-1"

    def runner(self, *words, wait=True):
        command = ["powershell.exe", "-NoProfile", "-ExecutionPolicy", "Bypass", "-File", str(self.script), "-Share", str(self.share), "-Device", "WS-1", *words]
        made = subprocess.Popen(command, env=self.device.env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        if not wait:
            return made
        out, err = made.communicate(timeout=180)
        return made.returncode, out.decode(), err.decode()

    def job(self, line, given=b"", key=None, name=None, spoil=None, **members):
        """Leaves a job, and says its name."""
        now = int(time.time() * 1000)
        id = "j-20261122-101112-" + uuid.uuid4().hex
        body = dict(format="rmm.job/1", id=id, device="ws-1", created=now, expires=now + 600000, line=line, input=base64.b64encode(given).decode(), timeout_ms=60000, max_output=1 << 20)
        body.update(members)
        body = json.dumps(body).encode()
        text = json.dumps(dict(body=base64.b64encode(body).decode(), signature=base64.b64encode((key or self.key).sign(body)).decode()))
        if spoil:
            text = spoil(text)
        jobs = self.folder / "jobs"
        jobs.mkdir(parents=True, exist_ok=True)
        name = name or id
        beside = jobs / (name + ".tmp")
        beside.write_text(text)
        beside.rename(jobs / (name + ".json"))
        return name

    def answer(self, name, seconds=60):
        at = self.folder / "results" / (name + ".json")
        until = time.time() + seconds
        while not at.exists():
            if time.time() > until:
                return None
            time.sleep(0.1)
        return json.loads(at.read_text())


def check(dll, say):
    house = House(dll)
    mark = house.device.root / "mark"
    touch = "echo x >> %s" % mark
    marks = lambda: len(mark.read_text().split()) if mark.exists() else 0
    try:
        code, _, err = house.runner("-Seconds", "1")
        say("without being installed it does nothing", code != 0 and "not installed" in err, err)
        code, out, err = house.runner("-Install")
        say("it installs itself", code == 0 and "installed" in out, out + err)
        calls = house.device.calls()
        say("its folder is closed first", calls[0].startswith("icacls.exe") and "/inheritance:r" in calls[0], calls)
        task = house.device.read("tasks")[0]
        say("a task of the system starts it", task["TaskName"] == "rmm runner" and '-Device "ws-1"' in task["Arguments"], task)

        done = house.job("echo out; echo err >&2; cat; exit 3", "gr\u00fcn\n".encode())
        expired = house.job(touch, expires=int(time.time() * 1000) - 1)
        other = house.job(touch, device="ws-2")
        case = house.job(touch, device="WS-1")
        newer = house.job(touch, format="rmm.job/2")
        renamed = house.job(touch, name="j-20261122-101112-" + "a" * 32)
        forged = house.job(touch, key=Key(house.share))
        swapped = house.job(touch, spoil=lambda text: json.dumps(dict(json.loads(text), signature=base64.b64encode(bytes(64)).decode())))
        short = house.job(touch, spoil=lambda text: json.dumps(dict(json.loads(text), signature="AAAA")))
        changed = house.job(touch, spoil=lambda text: json.dumps(dict(json.loads(text), body=base64.b64encode(base64.b64decode(json.loads(text)["body"]).replace(b"echo", b"exec")).decode())))
        damaged = [house.job(touch, spoil=spoil) for spoil in (lambda t: "", lambda t: t[: len(t) // 2], lambda t: "{}", lambda t: "[]", lambda t: '{"body": 1, "signature": {}}', lambda t: "null", lambda t: '{"body":"%%","signature":"%%"}')]
        large = house.job("true", b"x" * (7 << 20))
        stranger = house.job(touch, name="../x" if False else "not-a-job")
        late = house.job("sleep 30", timeout_ms=1500)
        chatty = house.job("head -c 3000000 /dev/zero")
        unread = house.job("exit 0", b"y" * 2000000)
        first = house.runner("-Seconds", "25", wait=False)
        second = house.runner("-Seconds", "25", wait=False)
        answer = house.answer(done)
        text = lambda name: base64.b64decode(answer[name]).decode()
        say("a job is carried out, with its input, its output and its exit code", answer and (answer["outcome"], answer["code"], text("stdout"), text("stderr")) == ("done", 3, "out\ngr\u00fcn\n", "err\n"), answer)
        for what, name, why in (("expired", expired, "expired"), ("for another device", other, "another device"), ("for a device written otherwise", case, "another device"), ("of another version", newer, "version"),
                                ("renamed", renamed, "renamed"), ("signed by somebody else", forged, "signature"), ("with an empty signature", swapped, "signature"), ("with a short signature", short, "signature"),
                                ("changed after it was signed", changed, "signature"), ("too large", large, "too large")):
            answer = house.answer(name)
            say("a job is refused that is " + what, answer and answer["outcome"] == "refused" and why in answer["reason"], answer)
        for name in damaged:
            answer = house.answer(name)
            say("a damaged job is refused", answer and answer["outcome"] == "refused", answer)
        answer = house.answer(late)
        say("a job that takes too long is ended", answer and answer["outcome"] == "timeout", answer)
        answer = house.answer(chatty)
        say("a job that prints too much is ended", answer and answer["outcome"] == "too-much", answer)
        answer = house.answer(unread)
        say("a job that does not read its input ends", answer and answer["outcome"] == "done" and answer["code"] == 0, answer)
        say("what is no job is left alone", (house.folder / "jobs" / "not-a-job.json").exists(), stranger)
        say("nothing of what was refused happened", marks() == 0, marks())

        once = house.job(touch)
        copy = (house.folder / "jobs" / (once + ".json")).read_text() if (house.folder / "jobs" / (once + ".json")).exists() else (house.folder / "taken" / (once + ".json")).read_text()
        say("a job is done", (house.answer(once) or {}).get("outcome") == "done" and marks() == 1, marks())
        (house.folder / "results" / (once + ".json")).unlink()
        (house.folder / "taken" / (once + ".json")).unlink(missing_ok=True)
        (house.folder / "jobs" / (once + ".json")).write_text(copy)
        answer = house.answer(once)
        say("the same job again is refused", answer and answer["outcome"] == "refused" and "before" in answer["reason"] and marks() == 1, answer)
        stopped = house.job("sleep 60; " + touch)
        taken = house.folder / "taken"
        until = time.time() + 30
        while not (taken / (stopped + ".json")).exists() and time.time() < until:
            time.sleep(0.1)
        (taken / (stopped + ".stop")).write_text("")
        answer = house.answer(stopped)
        say("a job is ended on request", answer and answer["outcome"] == "interrupted", answer)
        codes = [made.wait(120) for made in (first, second)]
        say("of two runners one works and both end well", codes == [0, 0], codes)

        cut = house.job("sleep 60; " + touch)
        made = house.runner("-Seconds", "30", wait=False)
        until = time.time() + 60
        while not (taken / (cut + ".json")).exists() and time.time() < until:
            time.sleep(0.1)
        time.sleep(1)
        made.kill()
        made.wait()
        house.runner("-Seconds", "1")
        answer = house.answer(cut)
        say("what a killed runner left is told", answer and answer["outcome"] == "interrupted", answer)
        code, _, err = house.runner("-Uninstall")
        say("it goes", code == 0 and not (house.device.root / "Program Files/rmm").exists() and house.device.read("tasks") == [], err)
        for name in ("a b", "x;y", "..", "a'b"):
            made = subprocess.run(["powershell.exe", "-File", str(house.script), "-Share", str(house.share), "-Device", name, "-Install"], env=house.device.env, capture_output=True)
            say("no name of a device", made.returncode != 0, name)
    finally:
        house.device.close()

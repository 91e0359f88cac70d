"""Receipts: an operation happens once, whoever asks for it how often, and what came of it is told."""
import base64, hashlib, json, threading, time
from device import *

COMMON = stripped(source("src/apply/once/common.ps1"))
WAIT = stripped(source("src/apply/once/wait.ps1").replace("#common", COMMON))
STOP = stripped(source("src/apply/once/stop.ps1").replace("#common", COMMON))
TOUCH = "[System.IO.File]::AppendAllText($p.file, 'x'); 'done'; [Console]::Error.Write('oops')"


def check(dll, say):
    device = Device(dll)
    receipts = device.root / "Program Files/rmm-once/receipts"
    mark = device.root / "mark"
    marks = lambda: len(mark.read_text()) if mark.exists() else 0

    def asked(key, script=TOUCH, seconds=60):
        job = json.dumps(dict(script=script, params=dict(file=str(mark)))) + "\n"
        program, arguments = line().split(" ", 1)
        return dict(key=key, hash=hashlib.sha256((key + line() + job).encode()).hexdigest(), program=program, arguments=arguments, input=base64.b64encode(job.encode()).decode(), seconds=seconds, most=1 << 20,
                    begin=stripped(source("src/apply/once/begin.ps1")), loader=stripped(source("src/apply/once/loader.ps1")))

    def wait(*args, **more):
        code, out, err = device.run(WAIT, asked(*args, **more))
        head, _, rest = out.partition(b"\n")
        return head.decode().replace("rmm-once ", ""), rest, err

    def begun(key):
        until = time.time() + 60
        while not (receipts / key).exists() and time.time() < until:
            time.sleep(0.1)

    def behind(*args, **more):
        made, job = device.start(WAIT, asked(*args, **more))
        told = []
        thread = threading.Thread(target=lambda: told.append(made.communicate(job)[0].split(b"\n")[0].decode().replace("rmm-once ", "")))
        thread.start()
        return made, thread, told

    try:
        told = wait("k1")
        say("it happens, and what it printed is told", told == ("done 0 5 4", b"done\noops", "") and marks() == 1, told)
        say("again: told from the receipt", wait("k1") == told and marks() == 1, marks())
        say("another command under the same key", wait("k1", "'other'")[0] == "other 0 0 0")
        say("an exit code", wait("k2", "exit 7")[0] == "done 7 0 0")
        told = wait("k3", "'x' * 3000000")
        say("more than a receipt keeps", told[0] == "done 0 1048576 0" and len(told[1]) == 1048576, told[0])
        say("what takes too long is ended", wait("k4", "Start-Sleep 60", seconds=4)[0] == "late 0 0 0" and wait("k4", "Start-Sleep 60", seconds=4)[0] == "late 0 0 0")

        made, thread, _ = behind("k5", "Start-Sleep 4; " + TOUCH)
        begun("k5")
        made.kill()
        thread.join()
        told = wait("k5", "Start-Sleep 4; " + TOUCH)
        say("a session that breaks off does not end it, and it happens once", told[0] == "done 0 5 4" and marks() == 2, (told, marks()))
        several = [behind("k6") for _ in range(3)]
        [one[1].join() for one in several]
        say("asked for by three at once it happens once", [one[2] for one in several] == [["done 0 5 4"]] * 3 and marks() == 3, ([one[2] for one in several], marks()))

        made, thread, told = behind("k7", "Start-Sleep 60; " + TOUCH)
        begun("k7")
        device.run(STOP, dict(key="k7"))
        thread.join()
        say("it is ended on request", told == ["cut 0 0 0"] and wait("k7", "Start-Sleep 60; " + TOUCH)[0] == "cut 0 0 0", told)
        device.run(STOP, dict(key="k8"))
        say("what was ended before it began never begins", wait("k8")[0] == "cut 0 0 0" and marks() == 3, marks())
        made, thread, told = behind("k9", "Start-Sleep 60; " + TOUCH)
        begun("k9")
        os.kill(int((receipts / "k9").read_text().split("\n")[2]), 9)
        thread.join()
        say("what was killed in the middle is not known", told == ["lost 0 0 0"] and wait("k9", "Start-Sleep 60; " + TOUCH)[0] == "lost 0 0 0", told)

        for key, text in (("k10", ""), ("k11", "a\nb\nc\nd\n")):
            (receipts / key).write_text(text)
            told = wait(key)
            say("a receipt that cannot be read: nothing happens", not told[0].startswith("done") and marks() == 3, told)
        device.env["RMM_FAKE_CREATE"] = "2"
        told = wait("k12")
        say("no process can be made", told[0] == "" and "no process" in told[2], told)
        del device.env["RMM_FAKE_CREATE"]
        say("nothing of what it was given lies on the disk", not any("oops" in one.read_text(errors="replace") for one in receipts.rglob("begin.ps1")))
        with open(device.root / "acl", "a") as file:
            file.write(str(receipts.parent) + "\tS-1-5-21-9-9-9-1009\tTrue\tS-1-5-18 S-1-5-32-544\n")
        told = wait("k13")
        say("a folder that belongs to somebody else", told[0] == "unsafe 0 0 0" and "belongs to" in told[2] and marks() == 3, told)
        with open(device.root / "acl", "a") as file:
            file.write(str(receipts.parent) + "\tS-1-5-32-544\tFalse\tS-1-5-18 S-1-5-32-544 S-1-5-32-545\n")
        device.env["RMM_FAKE_ACL"] = "denied"
        told = wait("k14")
        say("a folder that cannot be kept from others", told[0] == "unsafe 0 0 0" and "kept from others" in told[2] and marks() == 3, told)
    finally:
        device.close()

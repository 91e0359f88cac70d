"""Programs and files: the very words, the input, both streams and the exit code; files that are replaced whole, and copied in pieces."""
import base64, hashlib, json, re
from device import *

RUN = stripped(source("src/script/programs/run.ps1"))
WRITE = stripped(source("src/script/programs/write.ps1"))
REFUSE = stripped(source("src/script/programs/refuse.ps1"))
SHOW = """#!/usr/bin/env python3
import json, sys
words = sys.argv[1:]
if words[:1] == ["exit"]:
    sys.stderr.write("bad\\n")
    sys.exit(int(words[1]))
if words[:1] == ["big"]:
    sys.stdout.write("x" * int(words[1]))
    sys.stderr.write("y" * int(words[1]))
    sys.exit(0)
if words[:1] == ["deaf"]:
    sys.exit(0)
print(json.dumps([words, sys.stdin.buffer.read().decode()]))
"""


def quoted(word):
    """As `src/script/programs.rs` does."""
    if word and not any(c in word for c in ' \t\n\r\v"'):
        return word
    out, slashes = '"', 0
    for c in word:
        if c == "\\":
            slashes += 1
        elif c == '"':
            out += "\\" * (slashes + 1)
            slashes = 0
        else:
            slashes = 0
        out += c
    return out + "\\" * slashes + '"'


def transfer(device, folder, say):
    """The scripts of FileTransfer."""
    text = source("src/apply/engine_actions/transfer/windows.rs")
    scripts = {name: script.replace('\\"', '"') for name, script in re.findall(r'^const (\w+): &str =\s+"(.*?)";$', text, re.M | re.S)}
    part, path = str(folder / "x [1].rmm-part"), str(folder / "x [1].bin")
    run = lambda name, **params: (lambda done: (done[0], done[1].decode().split(), done[2]))(device.run(scripts[name], params))
    data = bytes(range(256)) * 4000
    say("nothing is gathered yet", run("GATHERED", part=part)[:2] == (0, ["0"]))
    for at in (0, 400000, 800000):
        told = run("APPEND", part=part, at=at, piece=base64.b64encode(data[at:at + 400000]).decode())
        say("a piece at %d" % at, told[0] == 0, told)
    say("a piece at another place is refused", run("APPEND", part=part, at=5, piece="AAAA")[0] == 45)
    say("how much is gathered", run("GATHERED", part=part)[1] == [str(len(data))])
    say("another content is refused", run("FINISH", part=part, path=path, sha256="0" * 64)[0] == 46)
    digest = hashlib.sha256(data).hexdigest()
    told = run("FINISH", part=part, path=path, sha256=digest)
    say("the whole file has its name", told[0] == 0 and (folder / "x [1].bin").read_bytes() == data, told)
    run("APPEND", part=part, at=0, piece=base64.b64encode(b"new").decode())
    told = run("FINISH", part=part, path=path, sha256=hashlib.sha256(b"new").hexdigest().upper())
    say("and takes the place of another", told[0] == 0 and (folder / "x [1].bin").read_bytes() == b"new", told)
    told = run("LOOK", path=path)
    say("length and hash", told[0] == 0 and told[1] == ["3", hashlib.sha256(b"new").hexdigest().upper()], told)
    say("what is not there, and what is a folder", (run("LOOK", path=path + "x")[0], run("LOOK", path=str(folder))[0]) == (43, 44))
    told = run("READ", path=path, at=1, length=1000)
    say("a piece is read", told[0] == 0 and base64.b64decode(told[1][0]) == b"ew", told)
    say("no more than there is", run("READ", path=path, at=3, length=10)[:2] == (0, []), None)
    run("APPEND", part=part, at=0, piece="AAAA")
    say("what is not wanted any more goes", run("FORGET", part=part)[0] == 0 and [one.name for one in folder.iterdir()] != [] and not (folder / "x [1].rmm-part").exists())
    (folder / "x [1].bin").unlink()


def check(dll, say):
    device = Device(dll)
    try:
        program = device.root / "bin/show.exe"
        program.write_text(SHOW)
        program.chmod(0o755)
        run = lambda words, given=None, program="show.exe": device.run(RUN, dict(program=program, arguments=" ".join(map(quoted, words)), input=given))
        words = ["plain", "", "a b", "it's", 'say "hi"', "C:\\a b\\", '\\\\"x\\', "\\\\share\\x", "%PATH%", "a&b|c", "$(x)", "tab\there", "gr\u00fcn \U0001f600", "^caret", "!bang!", "a\\", "*", "-x:", "@a", "line\nline", "`", ";", "{}"]
        code, out, err = run(words)
        say("a program gets the very words", code == 0 and json.loads(out) == [words, ""], (code, out, err))
        code, out, err = run(["x"], "gr\u00fcn\nzwei\r\n\U0001f600")
        say("and its input, without a mark", code == 0 and json.loads(out)[1] == "gr\u00fcn\nzwei\r\n\U0001f600", (out, err))
        for n in (3, 255, 0):
            code, out, err = run(["exit", str(n)])
            say("exit code %d" % n, code == n and err == "bad\n", (code, err))
        code, out, err = run(["big", "2000000"])
        say("both streams at the same time", code == 0 and len(out) == 2000000 and len(err) == 2000000, (code, len(out), len(err)))
        code, out, err = run(["deaf"], "x" * 3000000)
        say("a program that does not read its input", code == 0, (code, err))
        code, out, err = run([], program="nope.exe")
        say("a program that is not there", code == 127 and "nope.exe" in err, (code, err))
        for name in ("C:\\x\\y.bat", "/bin/sh", "x.cmd"):
            code, out, err = run([], program=name)
            say("no program: " + name, code in (126, 127) and not out, (code, err))
        code, out, err = run([], program=str(device.root / "bin/gone.exe"))
        say("a program that cannot be started", code == 126 and "cannot be started" in err, (code, err))
        code, out, err = device.run(REFUSE, dict(why="refused: gr\u00fcn"))
        say("what is refused says why", code == 65 and err == "refused: gr\u00fcn", (code, err))

        folder = device.root / "files"
        folder.mkdir()
        write = lambda path, content: device.run(WRITE, dict(path=str(path), content=content))
        for what, content in (("a new file", "gr\u00fcn\n\U0001f600"), ("the same once more", "other\r\n"), ("an empty file", ""), ("a large file", "x\u00fc" * 3000000)):
            code, out, err = write(folder / "a b.txt", content)
            say(what, code == 0 and (folder / "a b.txt").read_bytes() == content.encode(), err)
        code, out, err = write(folder, "x")
        say("a folder is not replaced", code == 1 and "is a folder" in err, err)
        code, out, err = write(folder / "no/x", "x")
        say("no folder is made", code == 1 and not (folder / "no").exists(), err)
        (folder / ".a b.txt.rmm-tmp").write_text("left by one that was killed")
        code, out, err = write(folder / "a b.txt", "new")
        say("what one that was killed left does not stand in the way", code == 0 and (folder / "a b.txt").read_text() == "new", err)
        say("nothing stays beside it", [one.name for one in folder.iterdir()] == ["a b.txt"], list(folder.iterdir()))
        transfer(device, folder, say)
        code, out, err = device.run("'a'; 1; $null; [pscustomobject]@{ x = 1; y = 'z' }; exit 7", {})
        say("what a script prints before it exits is kept", code == 7 and out.decode().splitlines()[:2] == ["a", "1"], (code, out, err))
        code, out, err = device.run("'a'; throw 'gr\u00fcn'", {})
        say("a script that breaks off says the line and why", (code, out, err) == (1, b"a\n", "line 1: gr\u00fcn"), (code, out, err))
        code, out, err = device.run("$p.list.Count; $p.one.Count; $p.text; $p.none -eq $null; $p.number + 1; $p.yes", dict(list=[], one=["x"], text="\u4e16'\"`$x", none=None, number=4294967296, yes=True))
        say("values arrive as they are", out.decode() == "0\n1\n\u4e16'\"`$x\nTrue\n4294967297\nTrue\n", out)
    finally:
        device.close()

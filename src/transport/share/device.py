"""Plays a device behind a share, for the tests: what runner.ps1 does, over SMB, with smbclient and openssl. Answers a job with its line
and its input in place of carrying it out.

device.py PORT DEVICE PUBLIC_KEY
"""
import base64, json, os, re, subprocess, sys, tempfile, time

port, device, public_key = sys.argv[1:4]
work = tempfile.TemporaryDirectory()
done = set()


def smb(*commands, check=True):
    """Runs commands of smbclient in the folder of the device."""
    answer = subprocess.run(["smbclient", "//127.0.0.1/rmm", "-p", port, "-N", "-m", "SMB3", "-D", f"devices\\{device}",
                             "-c", "; ".join(commands)], cwd=work.name, capture_output=True, text=True)
    if check and answer.returncode:
        raise RuntimeError(answer.stdout + answer.stderr)
    return answer


def integer(number):
    bytes_ = number.lstrip(b"\0") or b"\0"
    if bytes_[0] & 0x80:
        bytes_ = b"\0" + bytes_
    return b"\x02" + bytes([len(bytes_)]) + bytes_


def signed(body, signature):
    """Whether OpenSSL finds the signature right; it wants key and signature in DER."""
    point = base64.b64decode(public_key)
    if len(point) != 64 or len(signature) != 64:
        return False
    head = bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d030107034200")
    sequence = integer(signature[:32]) + integer(signature[32:])
    for name, content in (("key", head + b"\x04" + point), ("sig", b"\x30" + bytes([len(sequence)]) + sequence), ("body", body)):
        open(os.path.join(work.name, name), "wb").write(content)
    return subprocess.run(["openssl", "dgst", "-sha256", "-keyform", "DER", "-verify", "key", "-signature", "sig", "body"],
                          cwd=work.name, capture_output=True).returncode == 0


def outcome(name):
    outer = json.load(open(os.path.join(work.name, name)))
    body = base64.b64decode(outer["body"])
    if not signed(body, base64.b64decode(outer["signature"])):
        return {"outcome": "refused", "reason": "its signature is wrong"}
    job = json.loads(body)
    if job["device"] != device:
        return {"outcome": "refused", "reason": "it is for another device"}
    if job["expires"] < time.time() * 1000:
        return {"outcome": "refused", "reason": "it has expired"}
    if job["id"] in done:
        return {"outcome": "refused", "reason": "it was carried out before"}
    done.add(job["id"])
    text = job["line"] + " with " + base64.b64decode(job["input"]).decode()
    return {"outcome": "done", "code": 0, "stdout": base64.b64encode(text.encode()).decode(), "stderr": ""}


while True:
    listed = smb("ls jobs\\*.json", check=False)
    for name in re.findall(r"^\s+(j-[0-9a-f-]+\.json)\s", listed.stdout, re.M):
        # Renaming is how a job is taken; it fails where somebody else was first.
        if smb(f"rename jobs\\{name} taken\\{name}", check=False).returncode:
            continue
        smb(f"get taken\\{name} {name}")
        answer = outcome(name)
        answer.update(format="rmm.result/1", id=name[:-5])
        json.dump(answer, open(os.path.join(work.name, "answer"), "w"))
        smb(f"put answer results\\{name}.tmp", f"rename results\\{name}.tmp results\\{name}")
        print(name, answer["outcome"], flush=True)
    time.sleep(0.05)

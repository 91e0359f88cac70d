"""Runs what changes a device: programs and files, the registry, receipts, updates, the runner of shares, settings and actions."""
import os
import subprocess
import sys
import tempfile

import once
import programs
import registry
import runner
import settings
import updates

HERE = os.path.dirname(os.path.abspath(__file__))


def main():
    named = [one for one in sys.argv[1:] if not one.startswith("-")]
    if "--write" in sys.argv[1:]:
        os.environ["RMM_UPDATE"] = "always"
    counted, wrong = 0, 0

    def say(what, holds, seen=None):
        nonlocal counted, wrong
        counted += 1
        if not holds:
            wrong += 1
            print(f"DIFFERS  {module.__name__}: {what}\n    seen     {seen if isinstance(seen, str) else repr(seen)[:600]}", flush=True)

    with tempfile.TemporaryDirectory(prefix="rmm-fakes-") as folder:
        dll = os.path.join(folder, "Faked.dll")
        compiler = os.path.join(HERE, "../fakes/compile.ps1")
        subprocess.run([os.environ["RMM_PWSH"], "-NoProfile", "-File", compiler, os.path.join(HERE, "Faked.cs"), dll], check=True)
        for module in (programs, registry, once, updates, runner, settings):
            if not named or module.__name__ in named:
                module.check(dll, say)
    print(f"what changes a device: {counted} checks, {wrong} differences")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())

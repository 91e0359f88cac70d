"""A device with Windows as far as settings change it: values of the registry, the security policy, services, what is recorded, tasks and
rules of the firewall. It knows the parameters of the scripts of rmm alone and runs none of them: what a script does with its parameters is
not tried here, but whether what was planned is what is asked for, and whether what is then observed is found to be right."""

import json
import os
import re

SAMPLE = os.path.join(os.path.dirname(__file__), "../../src/collect/samples/windows-11.json")


class Windows:
    def __init__(self):
        with open(SAMPLE, encoding="utf-8") as file:
            self.known = json.load(file)
        self.registry = {}

    def observed(self, asked):
        """The answer to an observation."""
        lines = [("host", self.known["host"])]
        for part in asked["parts"]:
            if part["name"].startswith("probe-registry-"):
                items = [self.value(n, one) for n, one in enumerate(part["asked"])]
                lines.append((part["name"], {"items": items}))
            elif part["name"] in self.known:
                lines.append((part["name"], self.known[part["name"]]))
        told = [json.dumps({"s": name, "d": said}) for name, said in lines] + ["done"]
        return "".join(f"@{asked['nonce']} {line}\n" for line in told).encode()

    def value(self, n, one):
        found = self.registry.get((one["key"].lower(), one["name"].lower()))
        kind, value = found or (None, None)
        return {"n": n, "exists": found is not None, "kind": kind, "value": value}

    def changed(self, params):
        """Does what a script would do with these parameters; whether there is such a script."""
        keys = set(params)
        if {"path", "name", "absent"} <= keys:
            place = (params["path"].lower(), params["name"].lower())
            if params["absent"]:
                self.registry.pop(place, None)
            else:
                self.registry[place] = (params["kind"], params["value"])
        elif {"section", "entries"} <= keys:
            self.policy(params["section"], params["entries"])
        elif keys == {"name", "startup", "action"}:
            self.service(params)
        elif keys == {"id", "success", "failure"}:
            self.audit(params)
        elif {"task", "state", "command"} <= keys:
            self.task(params)
        elif keys == {"name", "state", "rule"}:
            self.rule(params)
        else:
            return False
        return True

    def policy(self, section, entries):
        head, _, rest = self.known["security-policy"]["text"].partition(f"[{section}]\r\n")
        end = rest.find("[")
        lines, rest = rest[:end].splitlines(), rest[end:]
        for entry in entries:
            value = entry["value"] if "value" in entry else ",".join("*" + sid for sid in entry["accounts"])
            lines = [line for line in lines if line.split(" =")[0] != entry["name"]] + [f"{entry['name']} = {value}"]
        self.known["security-policy"]["text"] = head + f"[{section}]\r\n" + "".join(line + "\r\n" for line in lines) + rest

    def service(self, params):
        one = next(one for one in self.known["services"]["items"] if one["Name"].lower() == params["name"].lower())
        if params["startup"]:
            one["StartMode"] = {"Automatic": "Auto"}.get(params["startup"], params["startup"])
        if params["action"] == "start" and one["StartMode"] == "Disabled":
            raise ValueError("a service that is disabled cannot be started")
        if params["action"]:
            one["State"] = "Stopped" if params["action"] == "stop" else "Running"
            one["ExitCode"] = 0

    def audit(self, params):
        def mended(line):
            if params["id"].lower() not in line.lower():
                return line
            before, _, number = line.rpartition(",")
            number = int(number)
            for bit, word in ((1, params["success"]), (2, params["failure"])):
                number = number | bit if word == "enable" else number & ~bit if word == "disable" else number
            return f"{before},{number}"

        text = self.known["audit-policy"]["text"]
        self.known["audit-policy"]["text"] = "\r\n".join(mended(line) for line in text.splitlines())

    def task(self, params):
        path, _, name = params["task"].rpartition("\\")
        items = self.known["scheduled"]["items"]
        same = [one for one in items if (one["path"] + one["name"]).lower() == params["task"].lower()]
        if params["state"] in ("Enabled", "Disabled"):
            same[0]["state"] = 3 if params["state"] == "Enabled" else 1
            return
        for one in same:
            items.remove(one)
        if params["state"] == "made":
            kinds = {"daily": "Daily", "weekly": "Weekly", "start": "Boot", "logon": "Logon"}
            days = ["sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"]
            trigger = {"kind": f"MSFT_Task{kinds[params['schedule']]}Trigger", "start": "", "enabled": True, "days": 0}
            if params["schedule"] in ("daily", "weekly"):
                trigger["start"] = f"2026-11-22T{params['at'] or '03:00'}:00"
            if params["schedule"] == "weekly":
                trigger["days"] = 1 << days.index(params["day"])
            made = {"path": path + "\\", "name": name, "state": 3, "command": params["command"], "arguments": params["arguments"] or ""}
            items.append({**made, "user": params["user"], "actions": 1, "triggers": [trigger]})

    def rule(self, params):
        items = self.known["firewall-rules"]["items"]
        same = [one for one in items if one[1].lower() == params["name"].lower()]
        if params["state"] in ("Enabled", "Disabled"):
            active = "TRUE" if params["state"] == "Enabled" else "FALSE"
            same[0][2] = re.sub("Active=[A-Z]+", f"Active={active}", same[0][2])
            return
        for one in same:
            items.remove(one)
        if params["state"] == "made":
            rule = params["rule"]
            fields = [f"Action={rule['action'].title()}", "Active=TRUE", f"Dir={rule['direction'].title()}"]
            if rule["protocol"]:
                fields.append("Protocol=" + {"tcp": "6", "udp": "17"}.get(rule["protocol"], rule["protocol"]))
            fields += [f"LPort={port}" for port in rule["localPorts"] or []]
            fields += [f"RA4={masked(address)}" for address in rule["remoteAddresses"] or []]
            items.append(["local", params["name"], "v2.31|" + "|".join(fields) + f"|Name={params['name']}|"])


def masked(address):
    """A network as Windows keeps it."""
    base, _, bits = address.partition("/")
    if not bits:
        return address
    mask = (0xFFFFFFFF << (32 - int(bits))) & 0xFFFFFFFF
    return base + "/" + ".".join(str(mask >> shift & 0xFF) for shift in (24, 16, 8, 0))

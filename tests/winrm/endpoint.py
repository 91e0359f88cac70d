#!/usr/bin/env python3
"""A WinRM endpoint for the tests: it really signs in, opens and seals, and speaks WS-Management. It runs nothing.

Signing in, sealing and channel binding are those of pyspnego, which knows nothing of what is tested. Commands are answered by
`answer`: a few words that tests use. Everything that happens goes to the log, a JSON object per line, and tests judge by that.

    endpoint.py CONFIG.json     CONFIG: see `Config`; prints the port when it listens, and ends with its standard input
"""

import base64
import hashlib
import json
import os
import re
import socket
import ssl
import struct
import sys
import threading
import time
import types
import uuid
import xml.etree.ElementTree as ElementTree
from xml.sax.saxutils import escape

import spnego
from spnego.channel_bindings import GssChannelBindings
from windows import Windows

SHELL = "http://schemas.microsoft.com/wbem/wsman/1/windows/shell"
BOUNDARY = "Encrypted Boundary"
PROTOCOL = "application/HTTP-SPNEGO-session-encrypted"
NOTHING_YET, NO_SHELL, TOO_MANY = 2150858793, 2150858843, 2150859173


class Config:
    def __init__(self, path):
        with open(path, encoding="utf-8") as file:
            given = json.load(file)
        self.users = given["users"]  # name to password
        self.log = given["log"]
        self.certificate = given.get("certificate")  # PEM of certificate and key: HTTPS
        self.clients = given.get("clients")  # PEM of the authority whose client certificates are mapped to a user
        self.patience = given.get("patience", 0.2)  # seconds that Receive waits
        self.language_mode = given.get("language_mode", "FullLanguage")
        self.changes = given.get("changes", False)  # it is a device that changes as it is told to
        self.listen = given.get("listen", "127.0.0.1")
        self.quota = given.get("quota", 1000)  # shells at the same time
        # clear: answers in clear; tamper: changes sealed answers; hang: never answers; html: is no WinRM; cut: closes the connection
        # when a command has ended; forget: loses the shell when a command has ended; stumble: breaks the connection that follows one
        # that broke; busy: does not end a shell at once, and breaks the connection of the second attempt; again: answers with the bytes
        # of its first answer; elsewhere: takes itself for the end of another TLS channel; reject: refuses with a token
        self.mode = given.get("mode", "")
        self.ways = given.get("ways", ["Negotiate", "Basic"])
        self.hostname = given.get("hostname", "localhost")
        # A conversation to be replayed: what is answered to the next message of an action. {action, status, headers, body, charset: utf-8,
        # how: chunked, close, to the end, continue, blank, pieces, clear, lapse, silence or verbatim}. Which message it answers is patched
        # in, unless verbatim.
        self.replay = given.get("replay")
        self.greeting = given.get("greeting")  # {status, headers, body}: answered to whoever signs in


class Log:
    def __init__(self, path):
        self.file = open(path, "a", encoding="utf-8")
        self.lock = threading.Lock()

    def __call__(self, event, **more):
        with self.lock:
            self.file.write(json.dumps({"event": event, **more}) + "\n")
            self.file.flush()


class Fault(Exception):
    def __init__(self, code, subcode, text):
        super().__init__(text)
        self.code, self.subcode, self.text = code, subcode, text


class Drop(Exception):
    """The connection ends here."""


class Kerberos:
    """A sign-in with Kerberos, by the GSSAPI of MIT (python3-gssapi of Debian) and the keytab of KRB5_KTNAME."""

    negotiated_protocol = "kerberos"

    def __init__(self, channel):
        import gssapi  # Only there where a test of Kerberos runs.

        self.gssapi, self.complete, self.refusal = gssapi, False, b""
        binding = gssapi.raw.ChannelBindings(application_data=channel) if channel else None
        self.context = gssapi.SecurityContext(creds=gssapi.Credentials(usage="accept"), usage="accept", channel_bindings=binding)

    def step(self, token):
        answer = b""
        try:
            answer = self.context.step(token) or b""
            # An error that has a token for the other side shows only here.
            self.complete = self.context.complete
        except self.gssapi.exceptions.GSSError as error:
            self.refusal = answer
            raise spnego.exceptions.InvalidTokenError(context_msg=str(error)) from error
        return answer

    @property
    def client_principal(self):
        return str(self.context.initiator_name)

    def wrap_winrm(self, text):
        raw = self.gssapi.raw
        iov = raw.IOV(raw.IOVBufferType.header, text, raw.IOVBufferType.padding, std_layout=False)
        raw.wrap_iov(self.context, iov, confidential=True)
        filler = iov[2].value or b""
        return types.SimpleNamespace(header=iov[0].value, data=iov[1].value + filler, padding_length=len(filler))

    def unwrap_winrm(self, header, data):
        raw = self.gssapi.raw
        iov = raw.IOV((raw.IOVBufferType.header, False, header), data, raw.IOVBufferType.data, std_layout=False)
        opened = raw.unwrap_iov(self.context, iov)
        if not opened.encrypted:
            raise Drop
        return iov[1].value


def observed(job):
    """What a device with Windows would answer to the parts of an observation."""
    asked = job.get("params") or {}
    if "parts" not in asked:
        return None
    sample = os.path.join(os.path.dirname(__file__), "../../src/collect/samples/windows-11.json")
    with open(sample, encoding="utf-8") as file:
        known = json.load(file)
    parts = [part["name"] for part in asked["parts"] if part["name"] in known]
    lines = [json.dumps({"s": name, "d": known[name]}) for name in ["host"] + parts] + ["done"]
    return "".join(f"@{asked['nonce']} {line}\n" for line in lines).encode()


class Command:
    """What a command line answers, in pieces; what it waits for."""

    def __init__(self, line, mode, windows=None, log=None):
        # The language mode of PowerShell.
        self.mode = mode
        # What it changes, where it does, and who hears of it.
        self.windows, self.log = windows, log
        self.line, self.input, self.closed = line, b"", False
        self.output, self.errors, self.code = b"", b"", None
        self.begun, self.ended = time.monotonic(), False

    def feed(self, data, last):
        self.input += data
        self.closed = self.closed or last

    def advance(self):
        """Called under the lock of the endpoint whenever somebody asks."""
        if self.code is not None:
            return
        word, _, rest = self.line.partition(" ")
        if word == "echo":
            self.output, self.code = (rest + "\r\n").encode(), 0
        elif word == "grumble":
            self.errors, self.code = (rest + "\r\n").encode(), 3
        elif word == "exit":
            self.code = int(rest)
        elif word == "cat" and self.closed:
            self.output, self.code = self.input, 0
        elif word == "count" and self.closed:
            self.output, self.code = f"{len(self.input)} {hashlib.sha256(self.input).hexdigest()}".encode(), 0
        elif word == "big":
            self.output, self.code = b"0123456789abcdef" * (int(rest) // 16), 0
        elif word == "sleep" and time.monotonic() - self.begun > float(rest):
            self.output, self.code = b"slept\r\n", 0
        elif word == "forever" and not self.output and not self.errors:
            self.errors = b"still here\r\n"
        elif word == "powershell.exe" and self.closed:
            encoded = re.search(r"-EncodedCommand ([A-Za-z0-9+/=]+)", self.line)
            script = base64.b64decode(encoded.group(1)).decode("utf-16-le") if encoded else ""
            # The bootstrap of rmm: what it is given comes back, unless it is asked what the device is like.
            job = json.loads(self.input or b"{}")
            if "program" in job.get("params", {}):
                # A program and its arguments: answered as if they were the line.
                params = job["params"]
                self.line, self.input = f"{params['program']} {params['arguments']}".strip(), (params["input"] or "").encode()
                return self.advance()
            if "edition $(" in script:
                job = None
                self.output = f"version 5.1.20348.2400\r\nedition Desktop\r\nmode {self.mode}\r\n".encode()
            elif self.mode != "FullLanguage":
                # What rmm sends says so before anything that is refused then.
                job = None
                self.output = f"rmm-language-mode {self.mode} 5.1.20348.2400\r\n".encode()
                self.errors, self.code = b"the language mode of PowerShell\r\n", 1
                return
            elif "said" in job.get("params", {}):
                now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
                job = {"said": job["params"]["said"], "admin": True, "user": "EXAMPLE\\kim", "now": now}
            if self.windows and job is not None and "params" in job:
                params = job["params"]
                if "parts" in params:
                    self.output, self.code = self.windows.observed(params), 0
                    return
                self.log("job", params=params)
                self.output = b"\n" if job.get("told") else b""
                try:
                    self.code = 0 if self.windows.changed(params) else 1
                except ValueError as error:
                    self.errors, self.code = str(error).encode(), 1
                return
            if job is not None:
                self.output = observed(job) or json.dumps(job).encode()
            self.code = 0
        elif word not in ("cat", "count", "sleep", "forever", "powershell.exe", "drop"):
            self.errors, self.code = f"'{word}' is not recognized\r\n".encode(), 1


class Endpoint:
    def __init__(self, config):
        self.config, self.log = config, Log(config.log)
        self.lock = threading.Lock()
        self.shells = {}
        self.replay = list(config.replay or [])
        self.stumbles, self.busy = False, 0
        self.windows = Windows() if config.changes else None
        store = config.log + ".users"
        with open(store, "w", encoding="utf-8") as file:
            for user, password in config.users.items():
                domain, _, name = user.rpartition("\\")
                file.write(f"{domain}:{name}:{password}\n")
        os.environ["NTLM_USER_FILE"] = store
        self.tls, self.binding = None, None
        if config.certificate:
            self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.tls.load_cert_chain(config.certificate)
            if config.clients:
                self.tls.load_verify_locations(config.clients)
                self.tls.verify_mode = ssl.CERT_OPTIONAL
            with open(config.certificate, encoding="ascii") as file:
                pem = re.search("-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", file.read(), re.S).group(0)
            # The certificates of the tests are signed with SHA-256.
            token = b"tls-server-end-point:" + hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem)).digest()
            self.binding = GssChannelBindings(application_data=token)

    def serve(self):
        listener = socket.create_server((self.config.listen, 0), backlog=1024)
        print(listener.getsockname()[1], flush=True)
        threading.Thread(target=self.until_nobody_waits, daemon=True).start()
        threading.stack_size(256 * 1024)
        while True:
            connection, _ = listener.accept()
            threading.Thread(target=self.connection, args=(connection,), daemon=True).start()

    @staticmethod
    def until_nobody_waits():
        sys.stdin.read()
        os._exit(0)

    def connection(self, connection):
        self.log("connected")
        try:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self.stumbles:
                self.stumbles = False
                raise Drop
            if self.config.mode == "hang":
                time.sleep(3600)
            if self.tls:
                connection = self.tls.wrap_socket(connection, server_side=True)
            Connection(self, connection).serve()
        except (Drop, ConnectionError, ssl.SSLError, OSError) as error:
            self.log("broken", why=repr(error))
        finally:
            connection.close()
            self.log("disconnected")

    # What the shells are asked. Everything is given as text and numbers; the envelope is the connection's business.

    def create(self, name):
        with self.lock:
            if len(self.shells) >= self.config.quota:
                raise Fault(TOO_MANY, "w:QuotaLimit", f"This user is allowed a maximum number of {self.config.quota} concurrent shells.")
            name = name or str(uuid.uuid4()).upper()
            self.shells[name] = {}
        self.log("shell", id=name)
        return name

    def shell(self, name):
        if name not in self.shells:
            raise Fault(NO_SHELL, "w:InvalidSelectors", "The shell was not found on the server.")
        return self.shells[name]

    def start(self, shell, name, line):
        with self.lock:
            name = name or str(uuid.uuid4()).upper()
            self.shell(shell)[name] = Command(line, self.config.language_mode, self.windows, self.log)
        self.log("command", id=name, line=line)
        return name

    def of(self, shell, name):
        commands = self.shell(shell)
        if name not in commands:
            raise Fault(2150858752 + 95, "w:InvalidParameter", "The command was not found.")
        return commands[name]

    def send(self, shell, name, data, last):
        with self.lock:
            self.of(shell, name).feed(data, last)

    def receive(self, shell, name):
        until = time.monotonic() + self.config.patience
        while True:
            with self.lock:
                command = self.of(shell, name)
                command.advance()
                if command.line.startswith("drop"):
                    self.stumbles = self.config.mode == "stumble"
                    raise Drop
                # As much as fits into an envelope.
                piece, command.output = command.output[:90000], command.output[90000:]
                errors, command.errors = command.errors, b""
                code = command.code if not command.output else None
            if piece or errors or code is not None:
                return piece, errors, code
            if time.monotonic() > until:
                raise Fault(NOTHING_YET, "w:TimedOut", "The operation timed out.")
            time.sleep(0.01)

    def terminate(self, shell, name):
        with self.lock:
            command = self.of(shell, name)
            self.log("terminated", id=name, running=command.code is None)
            del self.shells[shell][name]

    def next_of(self, action):
        """What the conversation answers to this action, and forgets then."""
        with self.lock:
            found = next((one for one in self.replay if one["action"] == action), None)
            if found:
                self.replay.remove(found)
            return found

    def delete(self, name):
        if self.config.mode == "busy":
            self.busy += 1
            if self.busy == 1:
                raise Fault(NOTHING_YET, "w:TimedOut", "The operation timed out.")
            if self.busy == 2:
                raise Drop
        with self.lock:
            self.shell(name)
            running = [key for key, command in self.shells.pop(name).items() if command.code is None]
        self.log("deleted", id=name, running=running)


class Connection:
    def __init__(self, endpoint, stream):
        self.endpoint, self.config, self.log = endpoint, endpoint.config, endpoint.log
        self.stream, self.file = stream, stream.makefile("rb")
        self.context, self.user, self.sealed, self.kept = None, None, False, None

    def serve(self):
        while True:
            first = self.file.readline(1000)
            if not first:
                return
            headers = {}
            while True:
                line = self.file.readline(200_000).decode("latin-1").strip()
                if not line:
                    break
                name, _, value = line.partition(":")
                headers[name.strip().lower()] = value.strip()
            body = self.file.read(int(headers.get("content-length", "0")))
            self.request(headers, body)

    def reply(self, status, body=b"", kind="application/soap+xml;charset=UTF-8", how="", **more):
        lines = [f"HTTP/1.1 {status}", "Server: Microsoft-HTTPAPI/2.0"]
        if body:
            lines.append(f"Content-Type: {kind}")
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in more.items()]
        if how in ("close", "to the end"):
            lines.append("Connection: close")
        if how == "chunked":
            lines.append("transfer-encoding: Chunked")
            pieces = [body[at : at + 700] for at in range(0, len(body), 700)] + [b""]
            body = b"".join(b"%x;x=y\r\n%s\r\n" % (len(piece), piece) for piece in pieces)
        elif how != "to the end":
            lines.append(f"content-length: {len(body)}")
        before = b"HTTP/1.1 100 Continue\r\n\r\n" if how == "continue" else b""
        self.stream.sendall(before + "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body)
        if how in ("close", "to the end"):
            raise Drop

    def refuse(self, token=b""):
        lines = ["HTTP/1.1 401", "Server: Microsoft-HTTPAPI/2.0", "Content-Length: 0"]
        if token:
            lines.append("WWW-Authenticate: Negotiate " + base64.b64encode(token).decode())
        lines += ["WWW-Authenticate: " + ('Basic realm="WSMAN"' if way == "Basic" else way) for way in self.config.ways]
        self.stream.sendall("\r\n".join(lines).encode() + b"\r\n\r\n")

    def request(self, headers, body):
        kind = headers.get("content-type", "")
        self.sealed = kind.lower().startswith("multipart/encrypted")
        if body and not self.sealed and not self.endpoint.tls:
            self.log("clear", bytes=len(body))
        if self.config.mode == "html":
            return self.reply("404 Not Found", b"<html>nothing here", "text/html")
        authorization = headers.get("authorization", "")
        if self.config.greeting:
            given = self.config.greeting
            return self.reply(given["status"], given.get("body", "").encode(), "text/html", **given.get("headers", {}))
        if authorization:
            way, _, value = authorization.partition(" ")
            if way == "Basic" and "Basic" in self.config.ways:
                user, _, password = base64.b64decode(value).decode().partition(":")
                if self.config.users.get(user) != password:
                    self.log("refused", user=user)
                    return self.refuse()
                self.sign_in(user, "basic")
            elif way == "Negotiate" and "Negotiate" in self.config.ways:
                if not self.negotiate(base64.b64decode(value)):
                    return
            elif authorization.endswith("/secprofile/https/mutual"):
                certificate = self.stream.getpeercert() if self.endpoint.tls else None
                if not certificate:
                    self.log("refused", user="certificate")
                    return self.refuse()
                names = dict(pair for group in certificate["subject"] for pair in group)
                self.sign_in(names["commonName"], "certificate")
            else:
                return self.refuse()
        if self.user is None:
            return self.refuse()
        if not body:
            return self.reply("200 OK", **self.last)
        if self.sealed:
            body = self.open(body)
        self.soap(body)

    last = {}

    def sign_in(self, user, way):
        if self.user is None:
            self.log("signed in", user=user, way=way)
        self.user, self.last = user, {}

    def negotiate(self, token):
        if self.context is None:
            if token.startswith(b"NTLMSSP\0"):
                self.context = spnego.server(
                    hostname=self.config.hostname,
                    service="HTTP",
                    protocol="ntlm",
                    options=spnego.NegotiateOptions.use_ntlm,
                    channel_bindings=self.endpoint.binding,
                )
            else:
                channel = self.endpoint.binding.application_data if self.endpoint.binding else b""
                self.context = Kerberos(channel + b"!" if self.config.mode == "elsewhere" else channel)
        try:
            answer = self.context.step(token)
        except spnego.exceptions.SpnegoError as error:
            self.log("refused", why=str(error))
            # With mode `reject` as SPNEGO says no.
            reject = bytes.fromhex("a1073005a0030a0102") if self.config.mode == "reject" else b""
            self.refuse(getattr(self.context, "refusal", reject))
            self.context = None
            return False
        if not self.context.complete:
            self.reply("401", WWW_Authenticate="Negotiate " + base64.b64encode(answer).decode())
            return False
        self.sign_in(self.context.client_principal, self.context.negotiated_protocol or "ntlm")
        if answer:
            self.last = {"WWW_Authenticate": "Negotiate " + base64.b64encode(answer).decode()}
        return True

    def open(self, body):
        parts = body.split(b"--" + BOUNDARY.encode())
        length = int(re.search(rb"Length=(\d+)", parts[1]).group(1))
        start = body.index(b"application/octet-stream\r\n") + len(b"application/octet-stream\r\n")
        data = body[start : -len(f"--{BOUNDARY}--\r\n")]
        size = struct.unpack("<i", data[:4])[0]
        text = self.context.unwrap_winrm(data[4 : 4 + size], data[4 + size :])
        if len(text) != length:
            raise Drop
        return text

    def seal(self, body, blank):
        sealed = self.context.wrap_winrm(body)
        data = struct.pack("<i", len(sealed.header)) + sealed.header + sealed.data
        if self.config.mode == "tamper":
            data = data[:-1] + bytes([data[-1] ^ 1])
        head = (
            f"--{blank}{BOUNDARY}\r\n\tContent-Type: {PROTOCOL}\r\n"
            f"\tOriginalContent: type=application/soap+xml;charset=UTF-8;Length={len(body) + sealed.padding_length}\r\n"
            f"--{blank}{BOUNDARY}\r\n\tContent-Type: application/octet-stream\r\n"
        )
        return head.encode() + data

    def answer(self, status, body, how="", kind="application/soap+xml;charset=UTF-8", **more):
        if self.sealed and self.config.mode != "clear" and how != "clear":
            size, blank = 500 if how == "pieces" else len(body) or 1, " " if how == "blank" else ""
            pieces = [self.seal(body[at : at + size], blank) for at in range(0, len(body), size)]
            body = b"".join(pieces) + f"--{blank}{BOUNDARY}--\r\n".encode()
            kind = f'multipart/encrypted;protocol="{PROTOCOL}";boundary="{BOUNDARY}"'
        if self.config.mode == "again":
            self.kept = body = self.kept or body
        self.reply(status, body, kind, how, **more)

    def replay(self, given, related):
        """A recorded answer, which says that it is one to this message."""
        if given.get("how") == "lapse":
            self.user = None
            return self.refuse()
        if given.get("how") == "silence":
            time.sleep(3600)
        body = given.get("body", "")
        if given.get("how") != "verbatim":
            body = re.sub(r"(<(?:[\w-]+:)?RelatesTo\b[^>]*>)[^<]*", lambda found: found.group(1) + related, body)
        body = body.encode(given.get("charset", "utf-8"))
        self.answer(given.get("status", "200 OK"), body, given.get("how", ""), **given.get("headers", {}))

    def soap(self, body):
        root = ElementTree.fromstring(body)
        names = {}
        for element in root.iter():
            names.setdefault(element.tag.rpartition("}")[2], element)
        action = names["Action"].text.rpartition("/")[2]
        selector = names.get("Selector")
        shell = selector.text if selector is not None else None
        size = int(names["MaxEnvelopeSize"].text)
        if len(body) > size:
            self.log("too large", bytes=len(body))
        self.log("asked", action=action, sealed=self.sealed, user=self.user)
        given = self.endpoint.next_of(action)
        if given:
            return self.replay(given, names["MessageID"].text)
        if self.config.replay is not None:
            # What a conversation does not hold is answered as if it was done.
            return self.answer("200 OK", self.envelope(action + "Response", f"<rsp:{action}Response/>", names["MessageID"].text))
        try:
            text = self.act(action, shell, names)
            self.answer("200 OK", self.envelope(action + "Response", text, names["MessageID"].text))
            if action == "Signal" and self.config.mode == "cut":
                raise Drop
            if action == "Signal" and self.config.mode == "forget":
                self.endpoint.shells.clear()
        except Fault as fault:
            detail = (
                f"<s:Fault><s:Code><s:Value>s:Receiver</s:Value><s:Subcode><s:Value>{fault.subcode}</s:Value></s:Subcode></s:Code>"
                f'<s:Reason><s:Text xml:lang="en-US">{escape(fault.text)}</s:Text></s:Reason><s:Detail>'
                f'<f:WSManFault xmlns:f="http://schemas.microsoft.com/wbem/wsman/1/wsmanfault" Code="{fault.code}" Machine="test">'
                f"<f:Message>{escape(fault.text)}</f:Message></f:WSManFault></s:Detail></s:Fault>"
            )
            self.answer("500 Internal Server Error", self.envelope("fault", detail, names["MessageID"].text))
        return None

    @staticmethod
    def line(names):
        arguments = [element.text or "" for element in names["CommandLine"] if element.tag.endswith("Arguments")]
        return " ".join([names["Command"].text, *arguments])

    def act(self, action, shell, names):
        endpoint = self.endpoint
        if action == "Create":
            name = endpoint.create(names["Shell"].get("ShellId"))
            return (
                '<x:ResourceCreated xmlns:x="http://schemas.xmlsoap.org/ws/2004/09/transfer"><w:SelectorSet>'
                f'<w:Selector Name="ShellId">{name}</w:Selector></w:SelectorSet></x:ResourceCreated>'
                f"<rsp:Shell><rsp:ShellId>{name}</rsp:ShellId><rsp:Owner>{escape(self.user)}</rsp:Owner></rsp:Shell>"
            )
        if action == "Command":
            name = endpoint.start(shell, names["CommandLine"].get("CommandId"), self.line(names))
            return f"<rsp:CommandResponse><rsp:CommandId>{name}</rsp:CommandId></rsp:CommandResponse>"
        if action == "Send":
            stream = names["Stream"]
            last = stream.get("End", "").lower() == "true"
            endpoint.send(shell, stream.get("CommandId"), base64.b64decode(stream.text or ""), last)
            return "<rsp:SendResponse/>"
        if action == "Receive":
            name = names["DesiredStream"].get("CommandId")
            piece, errors, code = endpoint.receive(shell, name)
            text = "<rsp:ReceiveResponse>"
            for stream, data in (("stdout", piece), ("stderr", errors)):
                if data:
                    text += f'<rsp:Stream Name="{stream}" CommandId="{name}">{base64.b64encode(data).decode()}</rsp:Stream>'
            state = "Running" if code is None else "Done"
            text += f'<rsp:CommandState CommandId="{name}" State="{SHELL}/CommandState/{state}">'
            if code is not None:
                text += f"<rsp:ExitCode>{code}</rsp:ExitCode>"
            return text + "</rsp:CommandState></rsp:ReceiveResponse>"
        if action == "Signal":
            endpoint.terminate(shell, names["Signal"].get("CommandId"))
            return "<rsp:SignalResponse/>"
        if action == "Delete":
            endpoint.delete(shell)
            return ""
        raise Fault(2150858752 + 1, "w:ActionNotSupported", f"{action} is not supported.")

    @staticmethod
    def envelope(action, body, related):
        return (
            '<s:Envelope xml:lang="en-US" xmlns:s="http://www.w3.org/2003/05/soap-envelope" '
            'xmlns:a="http://schemas.xmlsoap.org/ws/2004/08/addressing" xmlns:w="http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd" '
            f'xmlns:rsp="{SHELL}"><s:Header><a:Action>{SHELL}/{action}</a:Action>'
            f"<a:MessageID>uuid:{uuid.uuid4()}</a:MessageID><a:RelatesTo>{related}</a:RelatesTo></s:Header><s:Body>{body}</s:Body></s:Envelope>"
        ).encode()


if __name__ == "__main__":
    Endpoint(Config(sys.argv[1])).serve()

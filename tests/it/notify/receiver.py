"""A real SMTP server (aiosmtpd) on a free port of this machine. First line of its output: the port; then each message.

Arguments: starttls | tls | plain, certificate, key, strict | kind. With starttls and tls, it asks for user `rmm`, password `value-of-PASSWORD`.
Where it is strict, a recipient at refused.example.com is refused for good, one at later.example.com for now.
"""

import asyncio
import json
import ssl
import sys

from aiosmtpd.smtp import SMTP, AuthResult

mode, certificate, key, manner = sys.argv[1:5]


class Handler:
    async def handle_RCPT(self, server, session, envelope, address, options):
        if manner == "strict" and address.endswith("@refused.example.com"):
            return "550 5.1.1 no such user"
        if manner == "strict" and address.endswith("@later.example.com"):
            return "451 4.7.1 try again later"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        told = {
            "from": envelope.mail_from,
            "to": envelope.rcpt_tos,
            "tls": session.ssl is not None or mode == "tls",
            "user": "rmm" if session.authenticated else None,
            "data": envelope.content.decode("utf-8", "replace"),
        }
        print(json.dumps(told), flush=True)
        return "250 2.0.0 taken as 4711"


def authenticate(server, session, envelope, mechanism, data):
    good = (data.login, data.password) == (b"rmm", b"value-of-PASSWORD")
    # Not handled: the server itself says what came of it.
    return AuthResult(success=good, handled=False, auth_data=data.login)


async def main():
    context = None
    if mode != "plain":
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)

    def factory():
        common = {"hostname": "mail.example.com", "enable_SMTPUTF8": True}
        if mode == "plain":
            return SMTP(Handler(), **common)
        if mode == "starttls":
            return SMTP(Handler(), tls_context=context, require_starttls=True, auth_required=True, authenticator=authenticate, **common)
        return SMTP(Handler(), auth_required=True, auth_require_tls=False, authenticator=authenticate, **common)

    listener = await asyncio.get_running_loop().create_server(
        factory, "127.0.0.1", 0, ssl=context if mode == "tls" else None
    )
    print(listener.sockets[0].getsockname()[1], flush=True)
    await listener.serve_forever()


asyncio.run(main())

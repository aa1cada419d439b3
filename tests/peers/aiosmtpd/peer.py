"""A mail server of aiosmtpd's. Prints its port, then every mail that it was given, as one line of JSON each.

    peer.py none|starttls|tls CERTIFICATE KEY USERNAME PASSWORD ANSWER...

With starttls it takes nothing before STARTTLS and a login; with tls it speaks TLS from the first byte, and takes nothing before a
login. The answers are given to the first mails in turn; to all others "250 taken".
"""

import email
import email.policy
import json
import ssl
import sys
import time

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword

kind, certificate, key, username, password, *answers = sys.argv[1:]


def told(what):
    print(json.dumps(what), flush=True)


class Handler:
    async def handle_DATA(self, server, session, envelope):
        mail = email.message_from_bytes(envelope.content, policy=email.policy.default)
        answer = answers.pop(0) if answers else "250 taken"
        part = lambda kind: mail.get_body((kind,)) and mail.get_body((kind,)).get_content()
        told({
            "rcpt": envelope.rcpt_tos,
            "to": str(mail["To"]),
            "from": str(mail["From"]),
            "subject": str(mail["Subject"]),
            "message_id": str(mail["Message-ID"]).strip(),
            "unsubscribe": str(mail["List-Unsubscribe"]).strip(),
            "text": part("plain"),
            "html": part("html"),
            "tls": server.transport.get_extra_info("ssl_object") is not None,
            "login": bool(session.authenticated),
            "answer": answer,
        })
        return answer


def authenticate(server, session, envelope, mechanism, data):
    right = isinstance(data, LoginPassword) and (data.login, data.password) == (username.encode(), password.encode())
    return AuthResult(success=right, handled=not right, auth_data=data.login if right else None)


settings = {}
if kind != "none":
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    settings = {"authenticator": authenticate, "auth_required": True}
if kind == "starttls":
    settings |= {"tls_context": context, "require_starttls": True}
if kind == "tls":
    # It would know of TLS only by STARTTLS.
    settings |= {"ssl_context": context, "auth_require_tls": False}


class OnAnyPort(Controller):
    def _trigger_server(self):
        """Asks for the port that it was given; the original connects to the one that was asked for, which is 0."""
        self.port = self.server.sockets[0].getsockname()[1]
        super()._trigger_server()


controller = OnAnyPort(Handler(), hostname="127.0.0.1", port=0, **settings)
controller.start()
told({"port": controller.port})
# Until whoever reads is gone.
while sys.stdin.read(1):
    time.sleep(0.1)
controller.stop()

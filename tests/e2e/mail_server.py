"""A mail server for tests: it takes letters only over STARTTLS, and only from who knows the password.

Called with a certificate, its key, a user and a password. It prints its port, and then a line of JSON for each letter and
for each time that it turned somebody away.
"""

import base64
import json
import socket
import ssl
import sys
import threading

CERTIFICATE, KEY, USER, PASSWORD = sys.argv[1:]
CONTEXT = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
CONTEXT.load_cert_chain(CERTIFICATE, KEY)
PLAIN = base64.b64encode(f"\0{USER}\0{PASSWORD}".encode()).decode()


def tell(what):
    print(json.dumps(what), flush=True)


def converse(connection):
    stream = connection.makefile("rwb")
    secure, known, recipients = False, False, []

    def say(text):
        stream.write(text.encode() + b"\r\n")
        stream.flush()

    say("220 mail.example ready")
    # The stream is another one behind STARTTLS.
    for line in iter(lambda: stream.readline(), b""):
        line = line.decode().strip()
        word = line.split(" ")[0].upper()
        if word == "EHLO":
            say("250-mail.example")
            say("250 AUTH PLAIN" if secure else "250 STARTTLS")
        elif word == "STARTTLS":
            say("220 go on")
            connection = CONTEXT.wrap_socket(connection, server_side=True)
            stream, secure, known = connection.makefile("rwb"), True, False
        elif word == "AUTH":
            known = secure and line == f"AUTH PLAIN {PLAIN}"
            if not known:
                tell({"refused": "password"})
            say("235 welcome" if known else "535 5.7.8 wrong password")
        elif word == "MAIL" and not known:
            tell({"refused": "stranger"})
            say("530 5.7.0 log in first")
        elif word == "RCPT":
            recipients.append(line.split(":", 1)[1])
            say("250 known")
        elif word == "DATA":
            say("354 go on")
            letter = []
            for line in iter(stream.readline, b".\r\n"):
                letter.append(line.decode())
            tell({"to": recipients, "letter": "".join(letter)})
            recipients = []
            say("250 taken")
        elif word == "QUIT":
            say("221 bye")
            return
        else:
            say("250 fine")


def serve():
    listener = socket.create_server(("127.0.0.1", 0))
    print(listener.getsockname()[1], flush=True)
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=guarded, args=(connection,), daemon=True).start()


def guarded(connection):
    try:
        converse(connection)
    except (OSError, ssl.SSLError):
        tell({"refused": "connection"})


serve()

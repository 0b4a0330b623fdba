"""The text protocol as a short Python server has it: the standard library, one thread each.

Listens on any free port of the loopback and prints `listening on text://127.0.0.1:PORT`.
"""

import socketserver
from datetime import datetime


class Conversation(socketserver.StreamRequestHandler):
    disable_nagle_algorithm = True

    def handle(self):
        self.answer("WELCOME, I'm TinyServer not pressure")
        for line in self.rfile:
            if not line.endswith(b"\n"):
                break
            command, _, argument = line.decode().strip().partition(" ")
            match command.upper():
                case "":
                    continue
                case "TIME":
                    self.answer(f"TIME {datetime.now().astimezone().isoformat(timespec='seconds')}")
                case "ECHO":
                    self.answer(f"ECHO {argument.lstrip()}" if argument else "ERROR BAD_ARGUMENTS")
                case "HELP":
                    self.answer("HELP COMMANDS: TIME | ECHO <TEXT> | HELP | QUIT")
                case "QUIT":
                    self.answer("BYE")
                    break
                case _:
                    self.answer("ERROR UNKNOWN_COMMAND")

    def answer(self, text):
        self.wfile.write(f"{text}\n".encode())


class Server(socketserver.ThreadingTCPServer):
    request_queue_size = 1024
    daemon_threads = True

    def handle_error(self, request, client_address):
        """A peer that resets its connection ends its own thread only."""


if __name__ == "__main__":
    with Server(("127.0.0.1", 0), Conversation) as server:
        print("listening on text://%s:%d" % server.server_address, flush=True)
        server.serve_forever()

"""A server of the text protocol as its authors wrote it: a thread for each client."""

import datetime
import socket
import sys
import threading


def answer(line):
    command, _, text = line.partition(" ")
    command = command.upper()
    if command == "TIME":
        return "TIME " + datetime.datetime.now().astimezone().isoformat(timespec="seconds")
    if command == "ECHO":
        return "ECHO " + text if text else "ERROR BAD_ARGUMENTS"
    if command == "HELP":
        return "HELP COMMANDS: TIME | ECHO <TEXT> | HELP | QUIT"
    if command == "QUIT":
        return "BYE"
    return "ERROR UNKNOWN_COMMAND"


def handle(client):
    with client:
        client.sendall(b"WELCOME, I'm TinyServer not pressure\n")
        buffer = b""
        while True:
            data = client.recv(1024)
            if not data:
                return
            buffer += data
            while b"\n" in buffer:
                line, buffer = buffer.split(b"\n", 1)
                reply = answer(line.decode("utf-8").strip())
                client.sendall((reply + "\n").encode("utf-8"))
                if reply == "BYE":
                    return


def main():
    server = socket.create_server(("127.0.0.1", int(sys.argv[1])))
    print(f"Server listening on port {server.getsockname()[1]}", flush=True)
    while True:
        client, _ = server.accept()
        threading.Thread(target=handle, args=(client,), daemon=True).start()


if __name__ == "__main__":
    main()

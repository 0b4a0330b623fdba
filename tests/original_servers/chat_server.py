"""A server of the chat protocol as its author wrote it: one client after the other."""

import datetime
import socket
import sys


def answer(message):
    lower = message.lower()
    if "time" in lower:
        return "Server Time: " + datetime.datetime.now().strftime("%H:%M:%S")
    if "hello" in lower:
        return "Hello from the server! Connection established."
    if "status" in lower:
        return "Server is running smoothly on Python."
    return f"ACK: Received '{message}'"


def handle(client):
    with client:
        while True:
            data = client.recv(1024).decode("utf-8")
            if not data or data.lower() == "exit":
                return
            client.send(answer(data).encode("utf-8"))


def main():
    server = socket.create_server(("127.0.0.1", int(sys.argv[1])))
    print(f"Server listening on port {server.getsockname()[1]}", flush=True)
    while True:
        client, _ = server.accept()
        handle(client)


if __name__ == "__main__":
    main()

"""A server of the binary protocol as its authors wrote it: exact reads, a thread a client."""

import socket
import struct
import sys
import threading

ECHO, REVERSE, QUIT = 1, 2, 3


def receive_exactly(client, count):
    data = b""
    while len(data) < count:
        piece = client.recv(count - len(data))
        if not piece:
            return None
        data += piece
    return data


def handle(client):
    with client:
        while True:
            header = receive_exactly(client, 5)
            if not header:
                return
            command, length = struct.unpack("!BI", header)
            payload = receive_exactly(client, length)
            if payload is None or command == QUIT:
                return
            message = payload.decode("utf-8")
            if command == REVERSE:
                message = message[::-1]
            elif command != ECHO:
                continue
            reply = message.encode("utf-8")
            client.sendall(struct.pack("!BI", ECHO, len(reply)) + reply)


def main():
    server = socket.create_server(("127.0.0.1", int(sys.argv[1])))
    print(f"Server listening on port {server.getsockname()[1]}", flush=True)
    while True:
        client, _ = server.accept()
        threading.Thread(target=handle, args=(client,), daemon=True).start()


if __name__ == "__main__":
    main()

"""A server of the echo protocol as its authors wrote it: one send for each recv."""

import socket
import sys
import threading


def handle(client):
    with client:
        while True:
            data = client.recv(1024)
            if not data:
                return
            message = data.decode("utf-8")
            client.send(f"Server received: {message}".encode("utf-8"))


def main():
    server = socket.create_server(("127.0.0.1", int(sys.argv[1])))
    print(f"Server listening on port {server.getsockname()[1]}", flush=True)
    while True:
        client, _ = server.accept()
        threading.Thread(target=handle, args=(client,), daemon=True).start()


if __name__ == "__main__":
    main()

"""A client of the echo protocol as its first users wrote it: send without newline, recv.

With `test` as the third argument it sends messages of its own instead of those that are typed.
"""

import socket
import sys
import threading
import time


def listen(connection):
    while True:
        try:
            data = connection.recv(1024)
        except OSError:
            break
        if not data:
            break
        print("Server:", data.decode("utf-8"))


def main():
    host, port = sys.argv[1], int(sys.argv[2])
    connection = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    connection.connect((host, port))
    print(f"Connected to server at {host}:{port}")
    threading.Thread(target=listen, args=(connection,), daemon=True).start()
    if sys.argv[3:] == ["test"]:
        for message in ["Hello, server!", "How are you?", "This is a test message"]:
            print("Sending:", message)
            connection.send(message.encode("utf-8"))
            time.sleep(1)
    else:
        while (message := input("> ")).lower() != "quit":
            connection.send(message.encode("utf-8"))
    connection.close()
    print("Disconnected from server")


if __name__ == "__main__":
    main()

"""A client of the binary protocol as its first users wrote it: one frame out, one frame in."""

import socket
import struct
import sys

ECHO, REVERSE, QUIT = 1, 2, 3
HEADER = struct.Struct("!BI")


def receive_exactly(connection, length):
    data = b""
    while len(data) < length:
        piece = connection.recv(length - len(data))
        if not piece:
            raise ConnectionError("the server closed in the middle of a frame")
        data += piece
    return data


def send(connection, command, text):
    payload = text.encode("utf-8")
    connection.sendall(HEADER.pack(command, len(payload)) + payload)


def receive(connection):
    _command, length = HEADER.unpack(receive_exactly(connection, HEADER.size))
    return receive_exactly(connection, length).decode("utf-8")


def main():
    host, port = sys.argv[1], int(sys.argv[2])
    connection = socket.create_connection((host, port), timeout=10)
    while True:
        command, _, text = input("Enter command > ").partition(" ")
        if command == "quit":
            send(connection, QUIT, "")
            print("Sent QUIT command to server.")
            break
        if command not in ("echo", "rev"):
            print("Unknown command.")
            continue
        send(connection, ECHO if command == "echo" else REVERSE, text)
        print("Server Response:", receive(connection))
    print("Closing connection to the server.")
    connection.close()


if __name__ == "__main__":
    main()

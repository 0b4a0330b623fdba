"""A client of the chat protocol as its first users wrote it: send without newline, recv."""

import socket
import sys


def main():
    host, port = sys.argv[1], int(sys.argv[2])
    client = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    client.connect((host, port))
    while True:
        message = input("Message >> ")
        client.send(message.encode("utf-8"))
        if message.lower() == "exit":
            break
        print("[Server]:", client.recv(1024).decode("utf-8"))
    client.close()


if __name__ == "__main__":
    main()

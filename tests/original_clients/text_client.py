"""A client of the text protocol as its first users wrote it: one line out, one line in."""

import socket
import sys


def session(host, port, commands):
    with socket.create_connection((host, port), timeout=10) as connection:
        print(f"CONNECT to {host}:{port}")
        lines = connection.makefile("rw", encoding="utf-8", newline="\n")
        print("<-", lines.readline().strip())
        for command in commands:
            print("->", command)
            lines.write(command + "\n")
            lines.flush()
            print("<-", lines.readline().strip())


def main():
    host, port = sys.argv[1], int(sys.argv[2])
    session(host, port, ["TIME", "QUIT"])
    session(host, port, ["ECHO Hello from client", "QUIT"])


if __name__ == "__main__":
    main()

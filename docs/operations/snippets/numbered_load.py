#!/usr/bin/env python3
"""Numbered events over HTTP while something is changed, each repeated until it was answered.

    numbered_load.py --key-file FILE --until FILE --count FILE URL [URL ...]

The host of an event is its number (balance-17), so that the audit can be counted. A repeat carries the same
idempotency key and is recognised by every Ingestor. After a failure the next URL has its turn. It ends when the
file of --until is there, and writes to the file of --count how many were acknowledged: all that it sent.
"""

import argparse
import itertools
import os
import time
import urllib.request


def post(url, key, number):
    body = f'{{"hostname":"balance-{number}","severity":6,"message":"balance"}}'.encode()
    headers = {"X-API-KEY": key, "Idempotency-Key": f"balance-{number}"}
    request = urllib.request.Request(url, body, headers)
    with urllib.request.urlopen(request, timeout=10) as answer:
        return answer.status == 200


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in ["--key-file", "--until", "--count"]:
        parser.add_argument(name, required=True)
    parser.add_argument("url", nargs="+")
    args = parser.parse_args()
    with open(args.key_file, encoding="ascii") as file:
        key = file.read().strip()
    sent, repeated, turn = 0, 0, itertools.cycle(args.url)
    url = next(turn)
    while not os.path.exists(args.until):
        sent += 1
        while True:
            try:
                if post(url, key, sent):
                    break
            except OSError:
                pass
            repeated += 1
            url = next(turn)
            time.sleep(0.2)
        if sent == 1:
            print("the first event is acknowledged", flush=True)
        time.sleep(0.02)
    with open(args.count, "w", encoding="ascii") as file:
        print(sent, file=file)
    print(f"sent {sent}, acknowledged {sent}, repeated {repeated}", flush=True)


if __name__ == "__main__":
    main()

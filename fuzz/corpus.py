#!/usr/bin/python3
"""Writes the kept corpus of the targets http, packet, properties, topic and websocket, mqtt.dict and http.dict.

One readable line is one input; the files are named after their content, so running it again
changes nothing. Bytes are pairs of hex digits, and 'abc' is a field: two length bytes and "abc".
"""

import hashlib
import pathlib
import re

HERE = pathlib.Path(__file__).parent

# Version and side (the first byte of an input: 01 is 3.1, 02 3.1.1, 03 5.0; 10 more: from a server),
# first byte of the packet, body.
PACKETS = """
01 10 'MQIsdp' 03 02 003c 'id'
01 10 'MQIsdp' 83 c2 003c 'id' 'user'
02 10 'MQTT' 04 02 003c ''
02 10 'MQTT' 04 ee 003c 'id' 'will/topic' 'bye' 'user' 'password'
02 10 'MQTT' 84 00 0000 'bridge'
03 10 'MQTT' 05 02 003c 00 'id'
03 10 'MQTT' 05 f6 003c 15 11 ffffffff 21 0014 27 00100000 22 000a 17 00 19 01 'id' 0d 18 00000005 01 01 02 00000009 'w' 'x' 'user' 0002 ff00
03 10 'MQTT' 05 02 003c 10 15 'SCRAM' 16 'data' 19 01 'id'
03 10 'MQTT' 06 02
12 20 01 00
12 20 00 05
13 20 00 00 0b 22 000a 27 001e8480 21 0014
13 20 00 00 1b 12 'auto-1' 13 003c 24 01 25 00 28 00 29 01 2a 00 1a 'r' 1f 'x'
13 20 00 9c 05 1c 'ho'
02 30 'a/b' 68656c6c6f
02 33 'a/b' 0001 68656c6c6f
02 3d 'a/b' ffff
03 30 'a/b' 00 68656c6c6f
03 34 'a' 0102 1a 01 01 02 0000000a 08 'reply' 09 'corr' 26 'k' 'v' 78
03 30 '' 03 23 0001 78
13 32 'a' 0001 06 0b 01 0b ffff7f 78
02 40 0001
02 50 0001
02 62 0001
02 70 0001
03 40 0001 10
03 50 0001 97 0b 1f 'x' 26 'k' 'v'
03 62 0001 92 00
03 70 0001 92
02 82 0001 'a/+' 01 '#' 02
03 82 0001 02 0b 07 '$share/g/a' 01
03 82 0001 00 'a/#' 2e 'b' 10
12 90 0001 00018002
13 90 0001 04 1f 'x' 0087
02 a2 0001 'a/+' 'b'
03 a2 0001 07 26 'k' 'v' 'a'
12 b0 0001
13 b0 0001 00 0011
02 c0
12 d0
02 e0
03 e0 04 05 11 0000000a
13 e0 9d 07 1c 'host'
03 f0 18 08 15 'm' 16 'd'
13 f0 00 04 15 'm'
"""

# Packet type (10 more: from a server; 20 more: with its length), block.
PROPERTIES = """
00 18 00000005 01 01 02 00000009 03 'text' 08 'reply' 09 'corr' 26 'k' 'v'
01 11 ffffffff 15 'm' 16 'd' 17 00 19 01 21 0014 22 000a 27 00100000 26 'k' 'v'
12 11 0000000a 12 'id' 13 003c 15 'm' 16 'd' 1a 'r' 1c 'host' 1f 'why'
12 21 0014 22 000a 24 01 25 00 26 'k' 'v' 27 001e8480 28 00 29 01 2a 00
03 01 00 02 0000000a 03 't' 08 'r' 09 'c' 23 0001 26 'k' 'v' 26 'k' 'w'
13 0b 01 0b 8001 0b ffffff7f
04 1f 'why' 26 'k' 'v'
05 1f ''
06 26 '' ''
07 1f 'why'
08 0b ffffff7f 26 'k' 'v'
19 1f 'why'
0a 26 'k' 'v'
1b 1f 'why'
0e 11 00000000 1f 'x'
1e 1c 'host'
0f 15 'm' 16 'd' 1f 'x'
23 05 02 0000000a
23 8000
"""

TOPICS = """
a|a
a/b/c|a/b/c
#|a/b
+/b|a/b
a/+/c|a//c
a/#|a
a/b/#|a
+/+/#|a/b/c
/+|/a
+/+|/
#|$SYS/a
$SYS/#|$SYS/broker/uptime
$share/group/a/+|a/b
$share/g/|$share
$share//a|$share/+/a
a+|a#
#/a|a/#/b
//#|//
\u00e4/+|\u00e4/\u20ac
"""


# Two bytes for the target, and a head; | is the end of a line.
HEADS = """
GET / HTTP/1.1|Host: a||
GET / HTTP/1.0|Connection: keep-alive||
HEAD http://a/b?c HTTP/1.1|Host: [::1]:80|Content-Length: 0||
GET /mqtt HTTP/1.1|Host: a|Upgrade: websocket|Connection: Upgrade|Sec-WebSocket-Version: 13|Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==|Sec-WebSocket-Protocol: mqtt||
GET /mqtt HTTP/1.1|Host: a|Upgrade: websocket|Connection: keep-alive, Upgrade|Origin: http://a|Sec-WebSocket-Version: 13|Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==|Sec-WebSocket-Protocol: x, mqttv3.1|Sec-WebSocket-Extensions: permessage-deflate||
GET / HTTP/1.1|Host: a|X: b| folded||
POST / HTTP/1.1|Host: a|Content-Length: 4||body
GET / HTTP/1.1|Host: a|Transfer-Encoding: chunked||0||
GET /../%2e%2e/ HTTP/2.0|Host: a||
|GET / HTTP/1.1|Host: a|Host: b||
"""

HEAD_WORDS = """
GET HEAD HTTP/1.1 HTTP/1.0 http:// Host: Connection: Upgrade: websocket keep-alive close
Content-Length: Transfer-Encoding: chunked Origin: Sec-WebSocket-Version: Sec-WebSocket-Key:
Sec-WebSocket-Protocol: mqtt mqttv3.1 dGhlIHNhbXBsZSBub25jZQ==
"""

# A byte for the target, then frames in hex: the mask is 00000000 where it is easy to read.
FRAMES = """
00 8283010203046162630a
01 8280000000000284000000006162636400810000000065 8982000000006869 80810000000066
02 82fe007e00000000
03 82ff000000000001000000000000
04 8882000000000003e8 8281000000006a
05 888700000000 03e9627965c3a4
06 8980 00000000 8a80 00000000 8880 00000000
07 8180 00000000
08 028100000000618281 0000000062
09 820161
"""


def field(match):
    data = match.group(1).encode()
    return (len(data).to_bytes(2, "big") + data).hex()


def to_bytes(text):
    return bytes.fromhex(re.sub(r"'([^']*)'", field, text))


def variable(value):
    out = bytearray()
    while True:
        value, byte = value >> 7, value & 0x7F
        out.append(byte | (0x80 if value else 0))
        if not value:
            return bytes(out)


def packet(line):
    data = to_bytes(line)
    return data[:2] + variable(len(data) - 2) + data[2:]


def lines(text):
    return [line for line in text.splitlines() if line]


def write(name, inputs):
    folder = HERE / "corpus" / name
    folder.mkdir(parents=True, exist_ok=True)
    for data in inputs:
        (folder / hashlib.sha1(data).hexdigest()[:12]).write_bytes(data)


def session(version, packets):
    """Several packets in one stream."""
    return bytes([version]) + b"".join(data[1:] for data in packets if data[0] & 3 == version)


def quote(data):
    return '"' + "".join(f"\\x{byte:02x}" for byte in data) + '"'


def dictionary():
    words = [b"MQTT", b"MQIsdp", b"\0\4MQTT\4", b"\0\4MQTT\5", b"\0\6MQIsdp\3", b"$share/g/",
             b"$SYS/", b"+/", b"/#", b"\xc3\xa4", b"\xef\xbf\xbf", b"\xed\xa0\x80", b"\xff\xff\xff\x7f",
             b"\x80\x00", b"\0\0", b"\0\1"]
    words += [to_bytes(value) for line in lines(PROPERTIES) for value in
              re.findall(r"(?<= )[012][0-9a-f] (?:[0-9a-f]+|'[^']*'(?: '[^']*')?)", line)]
    return "".join(quote(word) + "\n" for word in sorted(set(words)))


def main():
    packets = [packet(line) for line in lines(PACKETS)]
    write("packet", packets + [session(2, packets), session(3, packets)])
    write("properties", [to_bytes(line) for line in lines(PROPERTIES)])
    write("topic", [line.replace("|", "\n").encode() for line in lines(TOPICS)])
    write("http", [b"\x30" + bytes([at]) + line.replace("|", "\r\n").encode()
                   for at, line in enumerate(lines(HEADS))])
    write("websocket", [bytes.fromhex(line) for line in lines(FRAMES)])
    words = sorted(word.encode() for word in HEAD_WORDS.split())
    (HERE / "http.dict").write_text("# Written by corpus.py\n" + "".join(
        quote(word) + "\n" for word in words + [b"\r\n", b"\r\n\r\n"]))
    (HERE / "mqtt.dict").write_text("# Written by corpus.py\n" + dictionary())


if __name__ == "__main__":
    main()

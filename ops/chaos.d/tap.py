"""What reached a node, seen outside of it: every RTP packet that came to its media port, by SSRC and sequence number.

  tap.py PORT FILE    in the node's network namespace, until it is ended. RTP headers are in clear under SRTP (RFC 3711, section 3.1)."""
import socket, struct, sys, time

RECORD = struct.Struct("<dIH")      # seconds since 1970, SSRC, sequence number
FLUSH_SECONDS = 0.2


def rtp(frame, port):
    """(SSRC, sequence number) of an IPv4 frame's RTP packet to `port`; None for all else."""
    head = (frame[0] & 15) * 4
    if frame[9] != 17 or len(frame) < head + 20 or int.from_bytes(frame[head + 2:head + 4], "big") != port:
        return None
    packet = frame[head + 8:]
    # Version 2, and no RTCP (RFC 5761, section 4).
    if packet[0] >> 6 != 2 or 64 <= packet[1] & 127 < 96:
        return None
    return int.from_bytes(packet[8:12], "big"), int.from_bytes(packet[2:4], "big")


def main():
    port, path = int(sys.argv[1]), sys.argv[2]
    tap = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(0x0800))
    tap.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
    flushed = 0.0
    with open(path, "wb") as file:
        while True:
            frame, address = tap.recvfrom(65535)
            found = rtp(frame, port) if address[2] != socket.PACKET_OUTGOING else None
            if found is None:
                continue
            now = time.time()
            file.write(RECORD.pack(now, *found))
            if now - flushed > FLUSH_SECONDS:
                file.flush()
                flushed = now


def read(path):
    """What a tap has written so far: (seconds, SSRC, sequence number) each."""
    with open(path, "rb") as file:
        data = file.read()
    return list(RECORD.iter_unpack(data[:len(data) // RECORD.size * RECORD.size]))


if __name__ == "__main__":
    main()

"""A moving test card that tells who shows it and when, and a beep each second: made for every kind of client, and read out of files again.

A strip along the top is twenty black or white blocks: marks, twelve bits of the picture's number, two of the person's, parity. Picture n is
taken n / FPS seconds after the card began; a beep of the person's own pitch begins with each second."""
import array
import bisect
import fractions
import math
import re
import subprocess

FPS = 20
STRIP = 24 / 180            # of the picture's height
BLOCKS = 20
BEEP = 0.1                  # seconds
PITCHES = [500, 900, 1400, 2100]    # Hz, of person 0 to 3
AMPLITUDE = 0.4
BIT_RATE = "1500k"


def blocks(number, person):
    bits = [number >> bit & 1 for bit in range(11, -1, -1)] + [person >> 1 & 1, person & 1]
    return [1, 0, *bits, sum(bits) & 1, 0, 1, 0]


def understand(values):
    """Twenty means of luma: (person, number); None where they are no strip."""
    low, high = min(values), max(values)
    bits = [int(value > (low + high) / 2) for value in values]
    person, number = bits[14] * 2 + bits[15], int("".join(map(str, bits[2:14])), 2)
    return (person, number) if high - low > 60 and bits == blocks(number, person) else None


def picture(number, person, width=320, height=180):
    """Luma of one picture, row by row: the strip, and a bar that moves over a slope."""
    strip, top = bytearray(), round(height * STRIP)
    for block, bit in enumerate(blocks(number, person)):
        strip += bytes([225 if bit else 25]) * (width * (block + 1) // BLOCKS - width * block // BLOCKS)
    slope = bytearray(60 + 100 * x // width for x in range(width))
    left = number * 4 % (width - 20)
    slope[left:left + 20] = bytes([210]) * 20
    return bytes(strip) * top + bytes(slope) * (height - top)


def sound(first, count, person, rate=48000):
    """Samples `first` and the `count` behind it, 16 bits."""
    return array.array("h", (
        round(32767 * AMPLITUDE * math.sin(2 * math.pi * PITCHES[person] * at / rate)) if at % rate < BEEP * rate else 0 for at in range(first, first + count)))


def encode(folder, person, seconds, noise=0.0):
    """An IVF and an Ogg file, by ffmpeg. Key frames only: whoever asks for one moves nothing."""
    ivf, ogg = folder / "card.ivf", folder / "card.ogg"
    encoder = subprocess.Popen(
        ["ffmpeg", "-v", "error", "-y", "-f", "rawvideo", "-pix_fmt", "gray", "-s", "320x180", "-r", str(FPS), "-i", "-", "-pix_fmt", "yuv420p", "-c:v", "libvpx", "-deadline", "realtime",
         "-cpu-used", "8", "-g", "1", "-b:v", BIT_RATE, "-f", "ivf", str(ivf)], stdin=subprocess.PIPE)
    for number in range(FPS * seconds):
        encoder.stdin.write(picture(number, person))
    encoder.stdin.close()
    assert encoder.wait(60) == 0
    beep = f"{AMPLITUDE}*sin(2*PI*{PITCHES[person]}*t)*lt(mod(t,1),{BEEP})+{noise}*(2*random(0)-1)"
    subprocess.run(["ffmpeg", "-v", "error", "-y", "-f", "lavfi", "-i", f"aevalsrc='{beep}':s=48000", "-t", str(seconds), "-c:a", "libopus", "-b:a", "64k", str(ogg)], check=True, timeout=60)
    return ivf, ogg


def script(person):
    """For a page: its camera and microphone are the card."""
    return SCRIPT.replace("PERSON", str(person)).replace("PITCH", str(PITCHES[person])).replace("FPS", str(FPS)).replace("BEEP", str(BEEP)).replace("AMPLITUDE", str(AMPLITUDE))


SCRIPT = """
(() => {
  const ask = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
  // Without loudspeakers Firefox runs no AudioContext: the tone of its fake microphone is let through instead.
  const gated = async (zero) => {
    const [track] = (await ask({ audio: { echoCancellation: false, noiseSuppression: false, autoGainControl: false } })).getAudioTracks();
    setInterval(() => { track.enabled = (performance.now() - zero) % 1000 < BEEP * 1000; }, 5);
    return track;
  };
  const make = async () => {
    const canvas = Object.assign(document.createElement("canvas"), { width: 320, height: 180 }), pen = canvas.getContext("2d"), zero = performance.now();
    let last = -1, beep = 1;
    const draw = () => {
      const number = Math.floor((performance.now() - zero) * FPS / 1000);
      if (number === last) return;
      last = number;
      const bits = [...Array(12).keys()].map((bit) => number >> (11 - bit) & 1).concat([PERSON >> 1 & 1, PERSON & 1]);
      const blocks = [1, 0, ...bits, bits.reduce((sum, bit) => sum + bit) & 1, 0, 1, 0];
      pen.fillStyle = "#456";
      pen.fillRect(0, 24, 320, 156);
      pen.fillStyle = "#fc8";
      pen.fillRect(number * 4 % 300, 60, 20, 80);
      blocks.forEach((bit, block) => { pen.fillStyle = bit ? "#f0f0f0" : "#101010"; pen.fillRect(block * 16, 0, 16, 24); });
    };
    draw();
    setInterval(draw, 10);
    const shown = canvas.captureStream(FPS).getVideoTracks();
    if (navigator.userAgent.includes("Firefox")) return [...shown, await gated(zero)];
    const audio = new AudioContext(), out = audio.createMediaStreamDestination(), tone = audio.createOscillator(), gate = audio.createGain();
    tone.frequency.value = PITCH;
    gate.gain.value = 0;
    tone.connect(gate).connect(out);
    tone.start();
    setInterval(() => {
      for (let ahead; (ahead = (zero + beep * 1000 - performance.now()) / 1000) < 3; beep++) {
        if (ahead <= 0) continue;
        gate.gain.setValueAtTime(AMPLITUDE, audio.currentTime + ahead);
        gate.gain.setValueAtTime(0, audio.currentTime + ahead + BEEP);
      }
    }, 100);
    return [...shown, ...out.stream.getAudioTracks()];
  };
  let tracks;
  navigator.mediaDevices.getUserMedia = async (wanted) => new MediaStream((await (tracks ??= make())).filter((track) => wanted[track.kind]));
})();
"""


def read(path, area=None):
    """Every picture of a file (or of an area x, y, width, height of it): its time, and who and which it is, or None."""
    x, y, width, height = area or ("0", "0", "iw", "ih")
    chain = f"crop={width}:{height}:{x}:{y},crop=iw:ih*{STRIP / 2}:0:ih*{STRIP / 4},scale={3 * BLOCKS}:1:flags=area,format=gray,showinfo"
    run = subprocess.run(["ffmpeg", "-v", "info", "-copyts", "-i", str(path), "-map", "0:v", "-fps_mode", "passthrough", "-enc_time_base", "1:1000000", "-vf", chain, "-f", "rawvideo", "-"],
                         check=True, capture_output=True, timeout=120)
    times = [float(time) for time in re.findall(rb"showinfo.* pts_time: *([-0-9.]+)", run.stderr)]
    step = 3 * BLOCKS
    assert len(run.stdout) == step * len(times) > 0, (len(run.stdout), len(times))
    # The middle third of each block: what blurs into it from beside is left out.
    return [(time, understand(run.stdout[step * n + 1:step * (n + 1):3])) for n, time in enumerate(times)]


def clock(pictures, person, what, tolerance, least=5):
    """Checks that each whole second of a card is there, at its time; gives when the card began, by the file's clock."""
    mine = [(time, found[1]) for time, found in pictures if found and found[0] == person]
    assert len(mine) >= 0.95 * len(pictures), f"{what}: {len(pictures) - len(mine)} of {len(pictures)} pictures cannot be read"
    began = sorted(time - number / FPS for time, number in mine)[len(mine) // 2]
    off = [(round(time, 3), number, round(time - number / FPS - began, 3)) for time, number in mine if abs(time - number / FPS - began) > tolerance]
    assert len(off) <= 0.03 * len(mine), f"{what}: {len(off)} of {len(mine)} pictures are not at their time: {off[:10]}"
    first, last = math.ceil(mine[0][1] / FPS), mine[-1][1] // FPS
    for second in range(first, last):
        seen = {number for _, number in mine if second * FPS <= number < (second + 1) * FPS}
        assert len(seen) >= least, f"{what}: {len(seen)} pictures of second {second}"
    assert last - first >= 3, f"{what}: only seconds {first} to {last}"
    return began


def follows(pictures, track, what, slack):
    """Checks that each of `pictures` (time, number) is what the track's pictures showed then, give or take `slack` seconds."""
    times = [time for time, _ in track]
    bad = []
    for time, number in pictures:
        first, last = bisect.bisect_right(times, time - slack) - 1, bisect.bisect_right(times, time + slack)
        if number not in {number for _, number in track[max(0, first):max(1, last)]}:
            bad.append((round(time, 3), number))
    # One in fifty may be one that could not be read in the track itself.
    assert len(bad) <= 0.02 * len(pictures), f"{what}: {len(bad)} of {len(pictures)} pictures are not what the track showed then: {bad[:10]}"


class Sound:
    """A file's sound, and how strong each person's pitch is in it."""
    RATE = 8000

    def __init__(self, path):
        probe = subprocess.run(["ffprobe", "-v", "error", "-select_streams", "a", "-show_entries", "stream=start_time", "-of", "csv=p=0", str(path)], check=True, capture_output=True, text=True)
        self.start = float(probe.stdout.split()[0].strip(",") or 0)
        run = subprocess.run(["ffmpeg", "-v", "error", "-i", str(path), "-map", "0:a", "-af", "aresample=async=1", "-ac", "1", "-ar", str(self.RATE), "-f", "s16le", "-"], check=True, capture_output=True, timeout=60)
        self.samples = array.array("h", run.stdout)

    def part(self, begin, seconds):
        first = max(0, round((begin - self.start) * self.RATE))
        return self.samples[first:first + round(seconds * self.RATE)]

    def power(self, begin, seconds):
        part = self.part(begin, seconds)
        return sum(sample * sample for sample in part) / max(1, len(part))

    def pitch(self, person, begin, seconds):
        """Amplitude of a person's pitch there (Goertzel's algorithm), 16 bits."""
        part, turn = self.part(begin, seconds), 2 * math.cos(2 * math.pi * PITCHES[person] / self.RATE)
        before = last = 0.0
        for sample in part:
            before, last = last, sample + turn * last - before
        return 2 * math.sqrt(max(0, before * before + last * last - turn * before * last)) / max(1, len(part))

    def beeps(self, person, threshold=1000, step=0.02):
        """Seconds at which a person's beeps begin."""
        found, was = [], True
        for window in range(int(len(self.samples) / self.RATE / step)):
            at = self.start + window * step
            loud = self.pitch(person, at, step) > threshold
            if loud and not was:
                found.append(at)
            was = loud
        return found


def camera(person, width=320, height=180):
    """For aiortc."""
    import asyncio, time
    import av
    from aiortc.mediastreams import MediaStreamTrack

    class Track(MediaStreamTrack):
        kind = "video"
        began = None

        async def recv(self):
            self.began = self.began or time.monotonic()
            number = self.number = getattr(self, "number", -1) + 1
            await asyncio.sleep(max(0, self.began + number / FPS - time.monotonic()))
            frame = av.VideoFrame(width, height, "gray")
            plane, luma = frame.planes[0], picture(number, person, width, height)
            plane.update(b"".join(luma[y * width:(y + 1) * width].ljust(plane.line_size, b"\0") for y in range(height)))
            frame = frame.reformat(format="yuv420p")
            frame.pts, frame.time_base = number * 90000 // FPS, fractions.Fraction(1, 90000)
            return frame
    return Track()


def microphone(person, beside):
    """For aiortc; begins with the camera `beside` it."""
    import asyncio, time
    import av
    from aiortc.mediastreams import MediaStreamTrack

    class Track(MediaStreamTrack):
        kind = "audio"
        first = 0

        async def recv(self):
            beside.began = beside.began or time.monotonic()
            first, self.first = self.first, self.first + 960
            await asyncio.sleep(max(0, beside.began + (first + 960) / 48000 - time.monotonic()))
            frame = av.AudioFrame(format="s16", layout="mono", samples=960)
            frame.planes[0].update(sound(first, 960, person).tobytes())
            frame.sample_rate, frame.pts, frame.time_base = 48000, first, fractions.Fraction(1, 48000)
            return frame
    return Track()

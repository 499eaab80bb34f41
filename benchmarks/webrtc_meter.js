// Measures a conversation from inside the page. The first part runs before the page and notes its microphone and its
// connection; the second is started once the avatar is seen. Times are milliseconds of performance.now().
if (globalThis.meter === undefined) {
  const meter = { microphone: null, connection: null, sounds: [], pictures: [], playouts: [] };
  globalThis.meter = meter;

  const devices = navigator.mediaDevices;
  const open = devices?.getUserMedia.bind(devices);
  if (open !== undefined) {
    devices.getUserMedia = async (constraints) => {
      meter.microphone = await open(constraints);
      return meter.microphone;
    };
  }
  globalThis.RTCPeerConnection = class extends RTCPeerConnection {
    constructor(...options) {
      super(...options);
      meter.connection = this;
    }
  };

  const level = (analyser, buffer) => {
    analyser.getFloatTimeDomainData(buffer);
    return Math.sqrt(buffer.reduce((sum, sample) => sum + sample * sample, 0) / buffer.length);
  };

  /** Start to measure. `area` is what of the picture is looked at: x, y, width and height as shares of it. */
  meter.start = (area) => {
    const context = new AudioContext();
    const tap = (stream) => {
      const analyser = context.createAnalyser();
      analyser.fftSize = 512; // 11 ms
      context.createMediaStreamSource(stream).connect(analyser);
      return analyser;
    };
    const track = meter.connection.getReceivers().find((receiver) => receiver.track.kind === "audio").track;
    const [said, heard] = [tap(meter.microphone), tap(new MediaStream([track]))];
    const buffer = new Float32Array(512);
    setInterval(() => meter.sounds.push([performance.now(), level(said, buffer), level(heard, buffer)]), 10);

    setInterval(async () => {
      const found = { audio: null, video: null };
      for (const stats of (await meter.connection.getStats()).values()) {
        if (stats.type === "inbound-rtp") found[stats.kind] = stats;
      }
      if (found.audio?.estimatedPlayoutTimestamp && found.video?.estimatedPlayoutTimestamp) {
        meter.playouts.push(found.video.estimatedPlayoutTimestamp - found.audio.estimatedPlayoutTimestamp);
      }
      meter.freezeCount = found.video?.freezeCount;
      meter.framesDropped = found.video?.framesDropped;
    }, 250);

    const video = document.getElementById("video");
    const canvas = new OffscreenCanvas(32, 32);
    const look = canvas.getContext("2d", { willReadFrequently: true });
    const [x, y, width, height] = area;
    const shown = (now, frame) => {
      const [w, h] = [video.videoWidth, video.videoHeight];
      look.drawImage(video, x * w, y * h, width * w, height * h, 0, 0, 32, 32);
      const pixels = look.getImageData(0, 0, 32, 32).data;
      let [luma, red] = [0, 0];
      for (let at = 0; at < pixels.length; at += 4) {
        luma += 0.3 * pixels[at] + 0.6 * pixels[at + 1] + 0.1 * pixels[at + 2];
        red += pixels[at] - pixels[at + 1];
      }
      meter.pictures.push([frame.expectedDisplayTime, frame.rtpTimestamp, luma / 1024, red / 1024, frame.presentedFrames]);
      video.requestVideoFrameCallback(shown);
    };
    video.requestVideoFrameCallback(shown);
  };
}

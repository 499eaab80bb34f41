/** The public names of this package. */
export { ChunkedStreamingClient, GatewayError } from "./client.js";
export { aheadS } from "./live-source.js";
export { Microphone } from "./microphone.js";
export { playHls, playLive, prefersLive } from "./playback.js";
export { encodeWav, readWav, splitWav } from "./wav.js";

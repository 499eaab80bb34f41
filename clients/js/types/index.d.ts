/** The public names of this package. */
export { ChunkedStreamingClient, GatewayError } from "./client.js";
export { Microphone } from "./microphone.js";
export { bufferedAheadS, playHls, playLive, prefersLive } from "./playback.js";
export { encodeWav, readWav, splitWav } from "./wav.js";

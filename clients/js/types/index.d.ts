/** The public names of this package. */
export { GatewayError } from "./ask.js";
export { ChunkedStreamingClient } from "./client.js";
export { Conversation } from "./conversation.js";
export { aheadS } from "./live-source.js";
export { Microphone } from "./microphone.js";
export { playHls, playLive, prefersLive } from "./playback.js";
export { encodeWav, readWav, splitWav } from "./wav.js";

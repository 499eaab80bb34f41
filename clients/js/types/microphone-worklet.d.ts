/** Runs on the audio thread: gathers 128 samples at a time into blocks, and posts `null` when it was stopped. */
export {};

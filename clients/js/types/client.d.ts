/**
 * Owns the REST calls of one session. Never touches a microphone, a `<video>` or a file.
 *
 * @typedef {Blob | ArrayBuffer | Uint8Array} Bytes
 *
 * @typedef {object} SessionOptions what `initSession` may ask for; the names are the form's.
 * @property {boolean} [crop] crop the portrait to the face (default true); not with `avatar_id`
 * @property {number} [seed] of everything random (default 42)
 * @property {number} [nfe] steps of a generative engine, 5 to 50 (default 10)
 * @property {number} [cfg_scale] guidance of a generative engine, 1 to 5 (default 2)
 * @property {number} [chunk_duration] seconds of audio that the caller means to send at a time, 0.1 to 10 (default 1)
 * @property {number} [audio_sample_rate] of raw PCM chunks in Hz; files say their own (default 24000)
 * @property {"lowest_latency" | "balanced" | "best_quality"} [preset] how speed and quality are weighed
 * @property {string} [engine] which engine; the server's own by default
 * @property {string} [avatar_id] an avatar that the server keeps, in place of a picture
 * @property {"on_audio" | "live"} [mode] live: the video goes on while nothing is fed (default on_audio)
 * @property {boolean} [abr] also make a smaller picture, for adaptive bitrate
 * @property {number[]} [pose_style] head pose of a generative engine
 * @property {number[]} [gaze_style] gaze of a generative engine
 *
 * @typedef {object} SessionAnswer
 * @property {"success"} status
 * @property {string} session_id
 * @property {string} hls_url path of the HLS playlist
 * @property {string} live_url path of the same video as one endless MP4
 * @property {string} download_url path of the whole take as MP4
 * @property {string} message
 * @property {number} chunk_duration
 * @property {number} audio_sample_rate
 *
 * @typedef {"waiting_for_audio" | "processing" | "complete" | "error"} SessionState
 *
 * @typedef {object} FeedAnswer
 * @property {string} status
 * @property {string} session_id
 * @property {number} buffer_samples audio that waits to become frames, in samples
 * @property {number} frames_generated
 * @property {SessionState} session_status
 * @property {string} message
 *
 * @typedef {object} SessionStatus
 * @property {string} session_id
 * @property {SessionState} status
 * @property {number} total_frames_generated
 * @property {number} buffer_samples
 * @property {string | null} error
 * @property {string} created_at
 * @property {number} uptime_seconds
 * @property {number | null} [first_frame_ms] from the first feed to the first frame
 * @property {number | null} [lateness_ms_p50] median lateness of the frames
 * @property {number} [segments] HLS segments published
 * @property {string} [live_url]
 * @property {string} [download_url]
 * @property {string} [engine]
 * @property {number} [width]
 * @property {number} [height]
 * @property {number} [fps]
 */
export type Bytes = Blob | ArrayBuffer | Uint8Array;
export type SessionOptions = {
    /**
     * crop the portrait to the face (default true); not with `avatar_id`
     */
    crop?: boolean;
    /**
     * of everything random (default 42)
     */
    seed?: number;
    /**
     * steps of a generative engine, 5 to 50 (default 10)
     */
    nfe?: number;
    /**
     * guidance of a generative engine, 1 to 5 (default 2)
     */
    cfg_scale?: number;
    /**
     * seconds of audio that the caller means to send at a time, 0.1 to 10 (default 1)
     */
    chunk_duration?: number;
    /**
     * of raw PCM chunks in Hz; files say their own (default 24000)
     */
    audio_sample_rate?: number;
    /**
     * how speed and quality are weighed
     */
    preset?: "lowest_latency" | "balanced" | "best_quality";
    /**
     * which engine; the server's own by default
     */
    engine?: string;
    /**
     * an avatar that the server keeps, in place of a picture
     */
    avatar_id?: string;
    /**
     * live: the video goes on while nothing is fed (default on_audio)
     */
    mode?: "on_audio" | "live";
    /**
     * also make a smaller picture, for adaptive bitrate
     */
    abr?: boolean;
    /**
     * head pose of a generative engine
     */
    pose_style?: number[];
    /**
     * gaze of a generative engine
     */
    gaze_style?: number[];
};
export type SessionAnswer = {
    status: "success";
    session_id: string;
    /**
     * path of the HLS playlist
     */
    hls_url: string;
    /**
     * path of the same video as one endless MP4
     */
    live_url: string;
    /**
     * path of the whole take as MP4
     */
    download_url: string;
    message: string;
    chunk_duration: number;
    audio_sample_rate: number;
};
export type SessionState = "waiting_for_audio" | "processing" | "complete" | "error";
export type FeedAnswer = {
    status: string;
    session_id: string;
    /**
     * audio that waits to become frames, in samples
     */
    buffer_samples: number;
    frames_generated: number;
    session_status: SessionState;
    message: string;
};
export type SessionStatus = {
    session_id: string;
    status: SessionState;
    total_frames_generated: number;
    buffer_samples: number;
    error: string | null;
    created_at: string;
    uptime_seconds: number;
    /**
     * from the first feed to the first frame
     */
    first_frame_ms?: number | null;
    /**
     * median lateness of the frames
     */
    lateness_ms_p50?: number | null;
    /**
     * HLS segments published
     */
    segments?: number;
    live_url?: string;
    download_url?: string;
    engine?: string;
    width?: number;
    height?: number;
    fps?: number;
};
/** One session: a portrait, then audio as it comes. */
export declare class ChunkedStreamingClient {
    #private;
    serverUrl: string;
    /** @type {string | null} */
    sessionId: string | null;
    fetch: typeof fetch;
    timeoutS: number;
    resumeS: number;
    /**
     * @param {string} [serverUrl] of the gateway
     * @param {object} [options]
     * @param {typeof globalThis.fetch} [options.fetch] what sends requests
     * @param {number} [options.timeoutS] how long one request may take
     * @param {number} [options.resumeS] when the connection or the server is lost, try for so long to go on as if nothing
     *   had happened: chunks are numbered then, so that none is lost or taken twice (default 0: never)
     */
    constructor(serverUrl?: string, { fetch, timeoutS, resumeS }?: {
        fetch?: typeof globalThis.fetch;
        timeoutS?: number;
        resumeS?: number;
    });
    /**
     * Open a session.
     *
     * @param {Bytes | null} image a JPEG, PNG or WebP picture of a face; null with `avatar_id`
     * @param {SessionOptions} [options]
     * @returns {Promise<SessionAnswer>}
     * @throws {GatewayError}
     */
    initSession(image: Bytes | null, options?: SessionOptions): Promise<SessionAnswer>;
    /**
     * Send audio. Calls may overlap: the chunks arrive in the order of the calls.
     *
     * @param {Bytes} audio one chunk: WAV, MP3, FLAC, Ogg, WebM, M4A, or a `Blob` of type "audio/pcm"
     * @param {boolean} [isFinal] whether the speech ends with it
     * @returns {Promise<FeedAnswer>}
     * @throws {GatewayError}
     */
    feedAudioChunk(audio: Bytes, isFinal?: boolean): Promise<FeedAnswer>;
    /**
     * @returns {Promise<SessionStatus>}
     * @throws {GatewayError}
     */
    getStatus(): Promise<SessionStatus>;
    /**
     * End the session and remove its files. Does nothing where there is none, or none any more.
     *
     * @param {object} [options]
     * @param {boolean} [options.keepalive] let the request outlive the page
     * @throws {GatewayError}
     */
    cleanup({ keepalive }?: {
        keepalive?: boolean;
    }): Promise<void>;
    /**
     * Make a path of an answer a whole URL.
     *
     * @param {string} path
     */
    url(path: string): string;
}

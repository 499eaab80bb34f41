/** Owns one conversation over WebRTC: session, signalling, connection and data channel. Opens no microphone, plays nothing. */
export type Word = Record<string, any>;
export type ConversationOptions = {
    /**
     * what is heard; without one the avatar says texts only
     */
    microphone?: MediaStream | null;
    /**
     * how speed and quality are weighed
     */
    preset?: "lowest_latency" | "balanced" | "best_quality";
    /**
     * an avatar that the server keeps, in place of a picture
     */
    avatarId?: string;
    /**
     * "relay": over a TURN server only
     */
    iceTransportPolicy?: RTCIceTransportPolicy;
    /**
     * what the session gives up so that more are
     * admitted: nothing, or every second frame while there are more than places
     */
    degradationPreference?: "disabled" | "maintain_resolution";
};
export type ConversationListener = {
    /**
     * what the session says
     */
    onWord?: (word: Word) => void;
    /**
     * the connection failed, or the session was ended by the server
     */
    onLost?: (error: Error) => void;
};
/** One live session of the gateway at a time, and the way to it. */
export declare class Conversation {
    #private;
    /**
     * @param {string} [serverUrl] of the gateway
     * @param {ConversationListener} [listener]
     */
    constructor(serverUrl?: string, listener?: ConversationListener);
    /** The connection, for its statistics; null before `open`. */
    get connection(): RTCPeerConnection | null;
    /**
     * Open a session and connect to it; one that was opened before is ended.
     *
     * @param {Blob | null} image a JPEG, PNG or WebP picture of a face; null with `avatarId`
     * @param {ConversationOptions} [options]
     * @returns {Promise<MediaStream>} the avatar, for `srcObject` of a `<video>`
     * @throws {GatewayError} also if it is closed meanwhile
     */
    open(image: Blob | null, options?: ConversationOptions): Promise<MediaStream>;
    /** Have the avatar stop speaking at once. */
    interrupt(): void;
    /**
     * Change how the avatar looks.
     *
     * @param {object} changes pose, gaze, emotion, …
     */
    control(changes: object): void;
    /** @param {object} word as the data channel takes it; is lost while that is not open */
    send(word: object): void;
    /**
     * Have the avatar say a text, where the gateway has a synthesiser.
     *
     * @param {string} text
     * @param {string} [voice] a language of `GET /api/speech`
     * @throws {import("./ask.js").GatewayError}
     */
    say(text: string, voice?: string): Promise<void>;
    /**
     * End the conversation, and the session; another may be opened.
     *
     * @param {object} [options]
     * @param {boolean} [options.keepalive] let the request outlive the page
     */
    close({ keepalive }?: {
        keepalive?: boolean;
    }): Promise<void>;
}

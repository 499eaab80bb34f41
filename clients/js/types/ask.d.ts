/** Owns requests to a gateway, and what their failures are called. */
/** A request that the server refused, or could not be asked. */
export declare class GatewayError extends Error {
    /** HTTP status; 0 where there was no answer. */
    status: number;
    /** A stable UPPER_SNAKE_CASE word to switch on; empty where the server gave none. */
    reason: string;
    /** When to try again, in seconds; null if the server did not say. */
    retryAfterS: number | null;
    /**
     * @param {string} message one or two sentences for a person
     * @param {object} [problem]
     * @param {number} [problem.status]
     * @param {string} [problem.reason]
     * @param {number | null} [problem.retryAfterS]
     */
    constructor(message: string, { status, reason, retryAfterS }?: {
        status?: number;
        reason?: string;
        retryAfterS?: number | null;
    });
}
/**
 * @param {string} url
 * @param {RequestInit} request
 * @param {object} [options]
 * @param {typeof globalThis.fetch} [options.fetch] what sends it
 * @param {number} [options.timeoutS] how long one try may take
 * @param {number} [options.resumeS] how long it is tried again when the server is lost; only for what does no harm twice
 * @returns {Promise<Response>} a good one
 * @throws {GatewayError}
 */
export declare function ask(url: string, request: RequestInit, { fetch, timeoutS, resumeS }?: {
    fetch?: typeof globalThis.fetch;
    timeoutS?: number;
    resumeS?: number;
}): Promise<Response>;

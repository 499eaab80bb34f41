/** Owns requests to a gateway, and what their failures are called. */

const FIRST_PAUSE_S = 0.1;
const LONGEST_PAUSE_S = 2;

/** A request that the server refused, or could not be asked. */
export class GatewayError extends Error {
  /**
   * @param {string} message one or two sentences for a person
   * @param {object} [problem]
   * @param {number} [problem.status]
   * @param {string} [problem.reason]
   * @param {number | null} [problem.retryAfterS]
   */
  constructor(message, { status = 0, reason = "", retryAfterS = null } = {}) {
    super(message);
    this.name = "GatewayError";
    /** HTTP status; 0 where there was no answer. */
    this.status = status;
    /** A stable UPPER_SNAKE_CASE word to switch on; empty where the server gave none. */
    this.reason = reason;
    /** When to try again, in seconds; null if the server did not say. */
    this.retryAfterS = retryAfterS;
  }
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
export async function ask(url, request, { fetch = globalThis.fetch.bind(globalThis), timeoutS = 60, resumeS = 0 } = {}) {
  const until = performance.now() + 1000 * resumeS;
  for (let pauseS = FIRST_PAUSE_S; ; pauseS = Math.min(2 * pauseS, LONGEST_PAUSE_S)) {
    try {
      return await tried(url, request, fetch, timeoutS);
    } catch (cause) {
      const error = /** @type {GatewayError} */ (cause);
      const waitMs = 1000 * (error.retryAfterS || pauseS);
      if (!isLoss(error) || performance.now() + waitMs > until) throw error;
      await new Promise((resolve) => setTimeout(resolve, waitMs));
    }
  }
}

/**
 * @param {string} url
 * @param {RequestInit} request
 * @param {typeof globalThis.fetch} fetch
 * @param {number} timeoutS
 */
async function tried(url, request, fetch, timeoutS) {
  let response;
  try {
    response = await fetch(url, { signal: AbortSignal.timeout(timeoutS * 1000), ...request });
  } catch (cause) {
    const why = cause instanceof DOMException && cause.name === "TimeoutError" ? "did not answer in time" : "cannot be reached";
    throw Object.assign(new GatewayError(`The server ${why}.`), { cause });
  }
  if (response.ok) return response;
  throw refusal(response, await response.json().catch(() => null));
}

/** @param {GatewayError} error of a connection, of a proxy, or of a server that will be back */
function isLoss({ status, reason }) {
  return [0, 502, 503, 504].includes(status) && reason !== "DRAINING";
}

/**
 * @param {Response} response
 * @param {any} body an RFC 9457 problem, or what a proxy says instead
 */
function refusal(response, body) {
  const retryAfter = Number.parseFloat(response.headers.get("Retry-After") ?? "");
  const text = typeof body?.detail === "string" ? body.detail : body?.title;
  return new GatewayError(text || `The server answered ${response.status}.`, {
    status: response.status,
    reason: typeof body?.reason === "string" ? body.reason : "",
    retryAfterS: Number.isFinite(retryAfter) ? retryAfter : null,
  });
}

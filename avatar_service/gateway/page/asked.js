/** Owns requests to the server whose refusal a person is told. */

/**
 * @param {string} url
 * @param {RequestInit} init
 * @throws {Error} with the server's own words
 */
export async function asked(url, init) {
  const answer = await fetch(url, init).catch(() => null);
  if (answer === null) throw new Error("The server cannot be reached.");
  if (answer.ok) return answer;
  const problem = await answer.json().catch(() => ({}));
  throw new Error(problem.detail ?? `The server answered ${answer.status}.`);
}

import { Buffer } from 'node:buffer';
import { MqttCredentialsError } from '../connection-errors.js';
import { untilAborted } from '../promises.js';
import type { Credentials, CredentialsProvider, CredentialsRequest } from './credentials.js';
import { expiryMs, expiryProblem } from './expiry.js';

/**
 * The credentials of one attempt.
 *
 * @param provider what the errors call it
 * @throws MqttCredentialsError when the provider throws or returns something else, or credentials that have expired
 * @internal
 */
export async function resolveCredentials(
  source: Credentials | CredentialsProvider | undefined,
  request: CredentialsRequest,
  provider = 'the credentials provider',
): Promise<Credentials> {
  if (typeof source !== 'function') return source ?? {};
  const { signal } = request;
  let credentials: unknown;
  try {
    credentials = await untilAborted(
      Promise.resolve(request).then((asked) => source(asked)),
      signal,
    );
  } catch (cause) {
    signal.throwIfAborted();
    if (cause instanceof MqttCredentialsError) throw cause;
    throw new MqttCredentialsError(`${provider} failed; its error is the cause`, { cause });
  }
  const problem = credentialsProblem(credentials) ?? expiryProblem((credentials as Credentials).expiresAt);
  if (problem !== undefined) throw new MqttCredentialsError(`${provider} returned ${problem}`);
  const expiresAtMs = expiryMs(credentials as Credentials);
  if (expiresAtMs <= request.epochMs) {
    throw new MqttCredentialsError(
      `${provider} returned credentials that expired at ${new Date(expiresAtMs).toISOString()}, and by this computer's clock it is ${new Date(request.epochMs).toISOString()}: do not keep them longer than that, or set the clock`,
    );
  }
  return credentials as Credentials;
}

/** What is wrong with a value that should be credentials; never repeats the value. @internal */
export function credentialsProblem(value: unknown): string | undefined {
  if (typeof value !== 'object' || value === null)
    return `${value === null ? 'null' : typeof value} instead of { username, password }`;
  const { username, password } = value as Record<string, unknown>;
  if (username !== undefined && !isText(username)) return 'a username that is no string of at most 65 535 bytes';
  if (password !== undefined && !isText(password) && !(password instanceof Uint8Array && password.length <= 0xffff)) {
    return 'a password that is no string or Uint8Array of at most 65 535 bytes';
  }
  return undefined;
}

function isText(value: unknown): value is string {
  return (
    typeof value === 'string' &&
    !value.includes('\0') &&
    !/\p{Surrogate}/u.test(value) &&
    Buffer.byteLength(value) <= 0xffff
  );
}

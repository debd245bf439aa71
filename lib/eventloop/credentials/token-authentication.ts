import { Buffer } from 'node:buffer';
import { MqttCredentialsError } from '../connection-errors.js';
import type { Authentication } from './authentication.js';
import type { Credentials, CredentialsProvider } from './credentials.js';
import { resolveCredentials } from './resolve-credentials.js';

/**
 * MQTT 5 enhanced authentication by a token alone, without challenges: Authentication Data is the password that the provider
 * returns. Before it expires the event loop re-authenticates with a fresh one, and the connection stays.
 *
 * ```ts
 * authentication: tokenAuthentication('OAUTH2-JWT', jwt({ … }))
 * ```
 *
 * @param method - the Authentication Method that the server knows it by
 * @param provider - asked for every connection attempt and every re-authentication; one loop's own
 * @publicApi
 */
export function tokenAuthentication(method: string, provider: CredentialsProvider): Authentication {
  let current: Credentials = {};
  return {
    method,
    async start(request) {
      const credentials = await resolveCredentials(provider, request);
      current = { expiresAt: credentials.expiresAt };
      return typeof credentials.password === 'string' ? Buffer.from(credentials.password) : credentials.password;
    },
    answer() {
      throw new MqttCredentialsError(`the server challenges, and the method "${method}" has no answer but the token`);
    },
    expiresAt: () => current.expiresAt,
  };
}

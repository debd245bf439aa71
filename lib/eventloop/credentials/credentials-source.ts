import type { Credentials, CredentialsProvider, CredentialsRequest } from './credentials.js';
import { expiryMs } from './expiry.js';
import { resolveCredentials } from './resolve-credentials.js';

type Source = Credentials | CredentialsProvider | undefined;

/** Where the credentials of every attempt come from. What was asked for ahead of one attempt is used by it, once. @internal */
export class CredentialsSource {
  #prepared: { readonly of: Source; readonly server: string; readonly credentials: Credentials } | undefined;

  /** @throws MqttCredentialsError, or the signal's reason */
  async ask(source: Source, request: CredentialsRequest): Promise<Credentials> {
    const prepared = this.#prepared;
    this.#prepared = undefined;
    const isOfThis = prepared !== undefined && prepared.of === source && prepared.server === request.server;
    if (isOfThis && expiryMs(prepared.credentials) > request.epochMs) return prepared.credentials;
    return resolveCredentials(source, request);
  }

  /**
   * Asks now for what the next attempt at this server will use.
   *
   * @returns when it expires
   * @throws MqttCredentialsError, or the signal's reason
   */
  async prepare(source: Source, request: CredentialsRequest): Promise<number> {
    const credentials = await resolveCredentials(source, request);
    this.#prepared = { of: source, server: request.server, credentials };
    return expiryMs(credentials);
  }
}

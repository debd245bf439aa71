import { MqttCredentialsError, MqttProtocolError } from '../connection-errors.js';
import type { ReceivedProperties } from '../codec/property-reader.js';
import { asBuffer, encodeAuth } from '../codec/encoder.js';
import { CONTINUE_AUTHENTICATION, RE_AUTHENTICATE } from '../codec/reason-codes.js';
import type { Authentication } from './authentication.js';
import type { CredentialsRequest } from './credentials.js';
import { expiryMs, expiryProblem } from './expiry.js';

/** Asks the user's {@link Authentication} and checks what it and the server say. @internal */
export class Authenticator {
  /** Of what `start` returned last, by the time of day. */
  expiresAtMs = Infinity;

  constructor(private readonly authentication: Authentication) {}

  get method(): string {
    return this.authentication.method;
  }

  /** Authentication Data of CONNECT. @throws MqttCredentialsError */
  async start(request: CredentialsRequest): Promise<Buffer | undefined> {
    const data = await this.#ask('start', () => this.authentication.start(request));
    this.expiresAtMs = this.#readExpiry();
    return data;
  }

  /** The AUTH that begins a re-authentication. @throws MqttCredentialsError */
  async restart(request: CredentialsRequest): Promise<Buffer> {
    return encodeAuth(RE_AUTHENTICATE, this.method, await this.start(request));
  }

  /** The AUTH that answers a challenge. @throws MqttCredentialsError */
  async answer(properties: ReceivedProperties | undefined): Promise<Buffer> {
    const data = await this.#ask('answer', () => this.authentication.answer(properties?.authenticationData));
    return encodeAuth(CONTINUE_AUTHENTICATION, this.method, data);
  }

  /** @throws MqttCredentialsError when the server is refused */
  async verify(properties: ReceivedProperties | undefined): Promise<void> {
    try {
      await this.authentication.verify?.(properties?.authenticationData);
    } catch (cause) {
      throw new MqttCredentialsError('authentication.verify refused the server; its error is the cause', { cause });
    }
  }

  /** @throws MqttProtocolError when the server answers with another method [MQTT-4.12.0-5] */
  assertMethod(properties: ReceivedProperties | undefined): void {
    if (properties?.authenticationMethod === this.method) return;
    throw new MqttProtocolError('AUTH with another authentication method than CONNECT [MQTT-4.12.0-5]');
  }

  #readExpiry(): number {
    let expiresAt: unknown;
    try {
      expiresAt = this.authentication.expiresAt?.();
    } catch (cause) {
      throw new MqttCredentialsError('authentication.expiresAt failed; its error is the cause', { cause });
    }
    const problem = expiryProblem(expiresAt);
    if (problem !== undefined) throw new MqttCredentialsError(`authentication.expiresAt returned ${problem}`);
    return expiryMs({ expiresAt: expiresAt as Date | number | undefined });
  }

  async #ask(step: 'start' | 'answer', ask: () => unknown): Promise<Buffer | undefined> {
    let data: unknown;
    try {
      data = await ask();
    } catch (cause) {
      if (cause instanceof MqttCredentialsError) throw cause;
      throw new MqttCredentialsError(`authentication.${step} failed; its error is the cause`, { cause });
    }
    if (data === undefined) return undefined;
    if (data instanceof Uint8Array && data.length <= 0xffff) return asBuffer(data);
    throw new MqttCredentialsError(
      `authentication.${step} returned something else than a Uint8Array of at most 65 535 bytes`,
    );
  }
}

import { RpcException } from '@nestjs/microservices';

/** @internal */
export const tokenRefusals = [
  'missing',
  'malformed',
  'too-large',
  'algorithm',
  'signature',
  'unknown-key',
  'expired',
  'not-yet-valid',
  'claim',
  'not-allowed',
  'keys-unavailable',
] as const;

/**
 * Why a token was refused. `claim`: one that is required is missing, or `iss` or `aud` is another. `not-allowed`: it is genuine, and
 * the application's own rule says no. `keys-unavailable`: the key set could not be fetched, which says nothing of the token.
 *
 * @publicApi
 */
export type TokenRefusal = (typeof tokenRefusals)[number];

/**
 * The sender of a message has shown no token, or none that is good. Never repeats it. A requester is told
 * `{ status: 'error', code: 'TOKEN_REFUSED', reason, message }`.
 *
 * @publicApi
 */
export class TokenRefusedException extends RpcException {
  constructor(
    readonly reason: TokenRefusal,
    /** With the reason `claim`: its name. */
    readonly claim?: string | undefined,
  ) {
    const message = `token refused: ${claim === undefined ? reason : `claim "${claim}"`}`;
    super({ status: 'error', code: 'TOKEN_REFUSED', reason, message });
  }
}

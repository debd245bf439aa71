import { Buffer } from 'node:buffer';
import { createPublicKey, createSecretKey, KeyObject } from 'node:crypto';
import type { JWTVerifyGetKey } from 'jose';
import type { Jwk } from '../eventloop/credentials/jwt-key.js';
import type { OptionChecks } from '../eventloop/option-checks.js';

/** A JSON Web Key Set (RFC 7517). @publicApi */
export interface JwtKeySet {
  readonly keys: readonly Jwk[];
}

/**
 * What tokens are verified with: the URL of a key set (`https:`, or `http:` on this computer), which is fetched when it is needed
 * and cached; a key set; or one key as PEM, JWK or `KeyObject`. For HS256 a secret JWK or `KeyObject`.
 *
 * @publicApi
 */
export type JwtVerificationKeys = string | URL | JwtKeySet | Jwk | KeyObject;

/** @internal */
export interface KeySource {
  readonly kind: 'public' | 'secret';
  /** Loaded with `jose`, on first use. */
  load(jose: typeof import('jose')): JWTVerifyGetKey;
}

const EXPECTED = 'the https: URL of a key set, a key set, or a public key as PEM, JWK or KeyObject';
const LOOPBACK = /^(localhost|127(\.\d+){3}|\[::1\])$/;

/** The keys could not be had: no word on the token. @internal */
export class KeysUnavailable extends Error {}

/** What is wrong is reported without repeating a key, or what a URL may hold. @internal */
export function readVerificationKeys(
  keys: unknown,
  cache: { readonly maxAgeMs: number; readonly timeoutMs: number },
  checks: OptionChecks,
): KeySource | undefined {
  const problem = (expected = EXPECTED): undefined => {
    checks.report('jwtVerifier.keys', '…', expected);
  };
  if (keys instanceof URL || (typeof keys === 'string' && URL.canParse(keys))) {
    const url = new URL(keys);
    const isSafe = url.protocol === 'https:' || (url.protocol === 'http:' && LOOPBACK.test(url.hostname));
    if (!isSafe) return problem('an https: URL: whoever can change the answer can sign tokens');
    if (url.username !== '' || url.password !== '') return problem('a URL without user information');
    return { kind: 'public', load: ({ createRemoteJWKSet }) => remote(createRemoteJWKSet, url, cache) };
  }
  if (isKeySet(keys)) return { kind: 'public', load: ({ createLocalJWKSet }) => createLocalJWKSet(keys as never) };
  const key = readKey(keys);
  return key === undefined ? problem() : { kind: key.type === 'secret' ? 'secret' : 'public', load: () => () => key };
}

function remote(
  create: typeof import('jose').createRemoteJWKSet,
  url: URL,
  { maxAgeMs, timeoutMs }: { readonly maxAgeMs: number; readonly timeoutMs: number },
): JWTVerifyGetKey {
  const find = create(url, { cacheMaxAge: maxAgeMs, timeoutDuration: timeoutMs });
  return async (header, token) => {
    try {
      return await find(header, token);
    } catch (cause) {
      const { code } = cause as { readonly code?: unknown };
      const isOfToken = code === 'ERR_JWKS_NO_MATCHING_KEY' || code === 'ERR_JWKS_MULTIPLE_MATCHING_KEYS';
      throw isOfToken ? cause : new KeysUnavailable('the key set cannot be fetched', { cause });
    }
  };
}

function isKeySet(keys: unknown): keys is JwtKeySet {
  if (typeof keys !== 'object' || keys === null || !('keys' in keys) || !Array.isArray(keys.keys)) return false;
  return keys.keys.length > 0 && keys.keys.every((key: unknown) => (key as Partial<Jwk> | null)?.kty !== 'oct');
}

function readKey(key: unknown): KeyObject | undefined {
  try {
    if (key instanceof KeyObject) return key.type === 'private' ? createPublicKey(key) : key;
    if (typeof key === 'string') return createPublicKey(key);
    const { kty, k } = key as Partial<Jwk>;
    if (kty === 'oct') return typeof k === 'string' ? createSecretKey(Buffer.from(k, 'base64url')) : undefined;
    return kty === undefined ? undefined : createPublicKey({ key: key as never, format: 'jwk' });
  } catch {
    return undefined;
  }
}

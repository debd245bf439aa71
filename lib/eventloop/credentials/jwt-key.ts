import { Buffer } from 'node:buffer';
import { createPrivateKey, createSecretKey, KeyObject } from 'node:crypto';
import type { OptionChecks } from '../option-checks.js';
import type { CredentialsRequest } from './credentials.js';

/** What tokens are signed with. @publicApi */
export type JwtAlgorithm = 'RS256' | 'ES256' | 'EdDSA' | 'HS256';

/** A JSON Web Key (RFC 7517). @publicApi */
export interface Jwk {
  readonly kty: string;
  readonly [parameter: string]: unknown;
}

/**
 * Signs somewhere else, in a KMS or an HSM say: the signature of `signingInput` by the algorithm of the token. For ES256 both the
 * form of JWS (64 bytes) and DER, which most services return, are taken.
 *
 * @publicApi
 */
export type JwtSigner = (signingInput: Uint8Array, request: CredentialsRequest) => Uint8Array | Promise<Uint8Array>;

/**
 * The private key: PEM as text or bytes (PKCS #8, PKCS #1, SEC 1), DER, a JWK, or a `KeyObject`. For HS256 the secret, as text or
 * bytes, a JWK or a `KeyObject`. Or a function that signs.
 *
 * @publicApi
 */
export type JwtKey = string | Uint8Array | Jwk | KeyObject | JwtSigner;

const FEWEST_RSA_BITS = 2_048;
const FEWEST_SECRET_BYTES = 32;
const FORMS = 'PEM, DER, a JWK, a KeyObject or a function that signs';

/** What each algorithm asks of a private key. */
const WANTED = {
  RS256: 'an RSA private key of at least 2 048 bits',
  ES256: 'an EC private key on the curve P-256 (prime256v1)',
  EdDSA: 'an Ed25519 private key',
} as const;

/** Reads the `key` of a token's options; what is wrong is reported without repeating any of it. @internal */
export function readJwtKey(
  key: unknown,
  algorithm: JwtAlgorithm,
  passphrase: string | undefined,
  checks: OptionChecks,
): KeyObject | JwtSigner | undefined {
  if (typeof key === 'function') return key as JwtSigner;
  const problem = (expected: string): undefined => {
    checks.report('jwt.key', '…', expected);
  };
  if (!(typeof key === 'string' || (typeof key === 'object' && key !== null))) return problem(FORMS);
  if (isJwk(key) && key['alg'] !== undefined && key['alg'] !== algorithm)
    return problem(`a JWK for ${algorithm}; the alg of this one says otherwise`);
  if (algorithm === 'HS256') return readSecret(key, problem);
  const read = key instanceof KeyObject ? key : readPrivateKey(key as string | Uint8Array | Jwk, passphrase);
  if (typeof read === 'string') return problem(`${WANTED[algorithm]} as ${FORMS}; ${read}`);
  return fits(read, algorithm) ? read : problem(`${WANTED[algorithm]} for ${algorithm}, not ${describe(read)}`);
}

/** @internal */
export function isJwk(key: unknown): key is Jwk {
  return typeof key === 'object' && key !== null && !(key instanceof KeyObject) && !ArrayBuffer.isView(key);
}

function readSecret(key: string | object, problem: (expected: string) => undefined): KeyObject | undefined {
  // A public key as a secret is how tokens are forged.
  if (pemLabel(key) !== undefined)
    return problem('a secret for HS256; this is a PEM key: choose RS256, ES256 or EdDSA');
  const secret = secretOf(key);
  if (secret === undefined)
    return problem('a secret for HS256: text, bytes, a JWK with kty "oct", or a secret KeyObject');
  return secret.symmetricKeySize! >= FEWEST_SECRET_BYTES
    ? secret
    : problem(`a secret of at least ${FEWEST_SECRET_BYTES} bytes for HS256 (RFC 7518, 3.2)`);
}

function secretOf(key: string | object): KeyObject | undefined {
  if (key instanceof KeyObject) return key.type === 'secret' ? key : undefined;
  if (typeof key === 'string') return createSecretKey(Buffer.from(key));
  if (key instanceof Uint8Array) return createSecretKey(key);
  const { kty, k } = key as Partial<Jwk>;
  return kty === 'oct' && typeof k === 'string' ? createSecretKey(Buffer.from(k, 'base64url')) : undefined;
}

/** The key, or why there is none. */
function readPrivateKey(key: string | Uint8Array | Jwk, passphrase: string | undefined): KeyObject | string {
  if (isJwk(key)) {
    if (typeof key['d'] !== 'string') return 'this JWK has no private part (d)';
    return attempt(() => createPrivateKey({ key: key as never, format: 'jwk' })) ?? 'this JWK cannot be read';
  }
  const label = pemLabel(key);
  if (label !== undefined) return readPem(key, label, passphrase);
  if (typeof key === 'string') return 'this text is no PEM (-----BEGIN … KEY-----): was it read from its file?';
  for (const type of ['pkcs8', 'pkcs1', 'sec1'] as const) {
    const read = attempt(() => createPrivateKey({ key: Buffer.from(key), format: 'der', type, ...given(passphrase) }));
    if (read !== undefined) return read;
  }
  return 'these bytes are neither PEM nor DER of a private key';
}

function readPem(key: string | Uint8Array, label: string, passphrase: string | undefined): KeyObject | string {
  const text = Buffer.from(key as string).toString('latin1');
  if (!label.includes('PRIVATE KEY')) return `this is a ${label.toLowerCase()}`;
  // How keys arrive in environment variables.
  if (text.includes('\\n')) return 'its line breaks are written as \\n: put real ones in';
  const isEncrypted = label.includes('ENCRYPTED') || text.includes('Proc-Type: 4,ENCRYPTED');
  if (isEncrypted && passphrase === undefined) return 'this one is encrypted: give its passphrase';
  const read = attempt(() => createPrivateKey({ key: text, ...given(passphrase) }));
  return read ?? (isEncrypted ? 'the passphrase does not open it' : 'this PEM is damaged');
}

/** What the first PEM block says it holds. */
function pemLabel(key: string | object): string | undefined {
  if (!(typeof key === 'string' || key instanceof Uint8Array)) return undefined;
  const start = typeof key === 'string' ? key : Buffer.from(key.subarray(0, 4_096)).toString('latin1');
  return /-----BEGIN ([A-Z\d ]{1,40})-----/.exec(start)?.[1];
}

function given(passphrase: string | undefined): { readonly passphrase?: string } {
  return passphrase === undefined ? {} : { passphrase };
}

/** OpenSSL's reasons help nobody, and might tell of the key. */
function attempt(read: () => KeyObject): KeyObject | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}

function fits({ type, asymmetricKeyType, asymmetricKeyDetails }: KeyObject, algorithm: keyof typeof WANTED): boolean {
  if (type !== 'private') return false;
  switch (algorithm) {
    case 'RS256':
      return asymmetricKeyType === 'rsa' && asymmetricKeyDetails!.modulusLength! >= FEWEST_RSA_BITS;
    case 'ES256':
      return asymmetricKeyType === 'ec' && asymmetricKeyDetails!.namedCurve === 'prime256v1';
    case 'EdDSA':
      return asymmetricKeyType === 'ed25519';
  }
}

/** Kind and size only. */
function describe({ type, asymmetricKeyType, asymmetricKeyDetails }: KeyObject): string {
  const { modulusLength, namedCurve } = asymmetricKeyDetails ?? {};
  const detail = modulusLength === undefined ? namedCurve : `${modulusLength} bits`;
  return ['a', type, asymmetricKeyType, 'key', detail && `(${detail})`].filter(Boolean).join(' ');
}

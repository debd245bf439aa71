import { Buffer } from 'node:buffer';
import { KeyObject } from 'node:crypto';
import { MqttCredentialsError } from '../connection-errors.js';
import type { CredentialsRequest } from './credentials.js';
import type { JwtAlgorithm, JwtSigner } from './jwt-key.js';

/** The two parts of a token that are signed. @internal */
export interface JwtContent {
  readonly header: Readonly<Record<string, unknown>> & { readonly alg: JwtAlgorithm };
  readonly claims: Readonly<Record<string, unknown>>;
}

/** Bytes of a signature, from and to; ES256 as JWS has it. */
const SIGNATURE_BYTES = { RS256: [256, 2_048], ES256: [64, 64], EdDSA: [64, 64], HS256: [32, 32] } as const;
const P256_BYTES = 32;
const DER_SEQUENCE = 0x30;
const DER_INTEGER = 0x02;

/** The token, by a key of ours or by somebody else's. @internal */
export async function signJwt(
  { header, claims }: JwtContent,
  key: KeyObject | JwtSigner,
  request: CredentialsRequest,
): Promise<string> {
  // Loaded on first use: who has no tokens does not pay for it.
  const { base64url, SignJWT } = await import('jose');
  if (key instanceof KeyObject) return new SignJWT(claims).setProtectedHeader(header).sign(key);
  const input = `${base64url.encode(JSON.stringify(header))}.${base64url.encode(JSON.stringify(claims))}`;
  const signature: unknown = await key(Buffer.from(input), request);
  return `${input}.${base64url.encode(checkedSignature(signature, header.alg))}`;
}

function checkedSignature(signature: unknown, algorithm: JwtAlgorithm): Uint8Array {
  if (!(signature instanceof Uint8Array))
    throw new MqttCredentialsError(`jwt: the signer returned ${typeof signature} instead of a Uint8Array`);
  const [fewest, most] = SIGNATURE_BYTES[algorithm];
  const isDer = algorithm === 'ES256' && signature.length !== fewest;
  const bytes = isDer ? (fromDer(signature) ?? signature) : signature;
  if (bytes.length >= fewest && bytes.length <= most) return bytes;
  throw new MqttCredentialsError(
    `jwt: the signer returned ${signature.length} bytes, which is no signature by ${algorithm}: sign the input itself, with that algorithm`,
  );
}

/** r and s side by side, from the SEQUENCE of two INTEGERs that a KMS returns (RFC 3279, 2.2.3). */
function fromDer(der: Uint8Array): Uint8Array | undefined {
  // A signature on P-256 is so short that every length takes one byte.
  if (der[0] !== DER_SEQUENCE || der[1] !== der.length - 2) return undefined;
  const both = new Uint8Array(2 * P256_BYTES);
  let at = 2;
  for (const end of [P256_BYTES, 2 * P256_BYTES]) {
    const length = der[at + 1];
    if (der[at] !== DER_INTEGER || length === undefined || length === 0 || at + 2 + length > der.length)
      return undefined;
    const integer = der.subarray(at + 2, at + 2 + length);
    at += 2 + length;
    // A leading zero keeps a number positive.
    const significant = integer[0] === 0 ? integer.subarray(1) : integer;
    if (significant.length > P256_BYTES) return undefined;
    both.set(significant, end - significant.length);
  }
  return at === der.length ? both : undefined;
}

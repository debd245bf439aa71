import type { JWTVerifyGetKey, JWTVerifyOptions } from 'jose';
import { OptionChecks } from '../eventloop/option-checks.js';
import { TokenRefusedException, tokenRefusals, type TokenRefusal } from './token-refusal.js';
import {
  KeysUnavailable,
  readVerificationKeys,
  type JwtVerificationKeys,
  type KeySource,
} from './verification-keys.js';

/** What a verified token says. Frozen. @publicApi */
export interface VerifiedClaims {
  readonly iss?: string;
  readonly sub?: string;
  readonly aud?: string | readonly string[];
  readonly jti?: string;
  readonly iat?: number;
  readonly nbf?: number;
  readonly exp: number;
  readonly [claim: string]: unknown;
}

const ALGORITHMS = [
  'RS256',
  'RS384',
  'RS512',
  'PS256',
  'PS384',
  'PS512',
  'ES256',
  'ES384',
  'ES512',
  'EdDSA',
  'HS256',
  'HS384',
  'HS512',
] as const;

/** @publicApi */
export type JwtVerificationAlgorithm = (typeof ALGORITHMS)[number];

/** @publicApi */
export interface JwtVerifierOptions {
  /** See {@link JwtVerificationKeys}. */
  readonly keys: JwtVerificationKeys;
  /** Every other algorithm is refused. */
  readonly algorithms: readonly JwtVerificationAlgorithm[];
  /** `iss`, one of them. Default: any. */
  readonly issuer?: string | readonly string[] | undefined;
  /** `aud`, one of them. Default: any. */
  readonly audience?: string | readonly string[] | undefined;
  /** How far `exp` and `nbf` may be off, as clocks are: 0 to 3 600. Default 30. */
  readonly clockToleranceSeconds?: number | undefined;
  /** Claims that must be there; `exp` always must. */
  readonly requiredClaims?: readonly string[] | undefined;
  /** Longer tokens are refused unread, 64 to 65 535. Default 8 192. */
  readonly maxTokenBytes?: number | undefined;
  /** How long a fetched key set is used, 1 to 86 400. A token with an unknown key fetches it anew, at most every 30 seconds. Default 600. */
  readonly keysMaxAgeSeconds?: number | undefined;
  /** How long fetching it may take, 1 to 60 000. Default 5 000. */
  readonly keysTimeoutMs?: number | undefined;
}

/** Counters since the verifier was made. @publicApi */
export interface JwtVerifierStats {
  readonly accepted: number;
  readonly refused: Readonly<Record<TokenRefusal, number>>;
}

const KNOWN = [
  'keys',
  'algorithms',
  'issuer',
  'audience',
  'clockToleranceSeconds',
  'requiredClaims',
  'maxTokenBytes',
  'keysMaxAgeSeconds',
  'keysTimeoutMs',
] as const satisfies readonly (keyof JwtVerifierOptions)[];

const REFUSALS: Readonly<Record<string, TokenRefusal>> = {
  ERR_JWT_EXPIRED: 'expired',
  ERR_JOSE_ALG_NOT_ALLOWED: 'algorithm',
  ERR_JWS_SIGNATURE_VERIFICATION_FAILED: 'signature',
  ERR_JWKS_NO_MATCHING_KEY: 'unknown-key',
  ERR_JWKS_MULTIPLE_MATCHING_KEYS: 'unknown-key',
};

/**
 * Verifies JSON Web Tokens of senders. One verifier serves all guards of an application: it keeps the imported keys.
 *
 * @publicApi
 */
export class JwtVerifier {
  readonly #keys: KeySource;
  readonly #maxTokenBytes: number;
  readonly #options: JWTVerifyOptions;
  #loaded: Promise<{ readonly jose: typeof import('jose'); readonly key: JWTVerifyGetKey }> | undefined;
  #accepted = 0;
  readonly #refused = Object.fromEntries(tokenRefusals.map((reason) => [reason, 0])) as Record<TokenRefusal, number>;

  /** @throws MqttOptionsError naming every mistake; never repeats a key */
  constructor(options: JwtVerifierOptions) {
    const checks = new OptionChecks();
    const given: Partial<JwtVerifierOptions> = typeof options === 'object' && options !== null ? options : {};
    checks.unknownKeys('jwtVerifier.', given, KNOWN);
    const maxAgeMs = 1_000 * checks.integer('jwtVerifier.keysMaxAgeSeconds', given.keysMaxAgeSeconds, 1, 86_400, 600);
    const timeoutMs = checks.integer('jwtVerifier.keysTimeoutMs', given.keysTimeoutMs, 1, 60_000, 5_000);
    const keys = readVerificationKeys(given.keys, { maxAgeMs, timeoutMs }, checks);
    checkAlgorithms(given.algorithms, keys, checks);
    const texts = (name: 'issuer' | 'audience' | 'requiredClaims'): string[] | undefined => {
      const list = given[name] === undefined ? undefined : [given[name]].flat();
      const isText = list === undefined || (list.length > 0 && list.every((one) => typeof one === 'string'));
      if (!isText) checks.report(`jwtVerifier.${name}`, given[name], 'a string, or a list with at least one');
      return list;
    };
    const [issuer, audience] = [texts('issuer'), texts('audience')];
    this.#options = {
      algorithms: [...(given.algorithms ?? [])],
      requiredClaims: ['exp', ...(texts('requiredClaims') ?? [])],
      clockTolerance: checks.integer('jwtVerifier.clockToleranceSeconds', given.clockToleranceSeconds, 0, 3_600, 30),
      ...(issuer === undefined ? {} : { issuer }),
      ...(audience === undefined ? {} : { audience }),
    };
    this.#maxTokenBytes = checks.integer('jwtVerifier.maxTokenBytes', given.maxTokenBytes, 64, 65_535, 8_192);
    checks.finish();
    this.#keys = keys!;
  }

  /**
   * @param token - as it came
   * @param isAllowed - judges a token that is genuine
   * @throws TokenRefusedException
   */
  async verify(
    token: unknown,
    isAllowed?: (claims: VerifiedClaims) => boolean | Promise<boolean>,
  ): Promise<VerifiedClaims> {
    if (token === undefined) throw this.#refuse('missing');
    if (typeof token !== 'string') throw this.#refuse('malformed');
    if (token.length > this.#maxTokenBytes) throw this.#refuse('too-large');
    const { jose, key } = await (this.#loaded ??= this.#load());
    let payload;
    try {
      ({ payload } = await jose.jwtVerify(token, key, this.#options));
    } catch (error) {
      throw this.#refuse(...readRefusal(error));
    }
    const claims = Object.freeze(payload) as VerifiedClaims;
    if (isAllowed !== undefined && !(await isAllowed(claims))) throw this.#refuse('not-allowed');
    this.#accepted++;
    return claims;
  }

  stats(): JwtVerifierStats {
    return { accepted: this.#accepted, refused: { ...this.#refused } };
  }

  /** Who verifies no tokens does not load the library. */
  async #load(): Promise<{ readonly jose: typeof import('jose'); readonly key: JWTVerifyGetKey }> {
    const jose = await import('jose');
    return { jose, key: this.#keys.load(jose) };
  }

  #refuse(reason: TokenRefusal, claim?: string): TokenRefusedException {
    this.#refused[reason]++;
    return new TokenRefusedException(reason, claim);
  }
}

function checkAlgorithms(algorithms: unknown, keys: KeySource | undefined, checks: OptionChecks): void {
  const isList =
    Array.isArray(algorithms) && algorithms.length > 0 && algorithms.every((one) => ALGORITHMS.includes(one as never));
  if (!isList) return checks.report('jwtVerifier.algorithms', algorithms, `a list of ${ALGORITHMS.join(', ')}`);
  if (keys === undefined) return;
  const ofSecrets = algorithms.filter((algorithm: string) => algorithm.startsWith('HS'));
  // Else somebody could sign with the public key as the secret.
  const fits = keys.kind === 'secret' ? ofSecrets.length === algorithms.length : ofSecrets.length === 0;
  if (!fits) checks.report('jwtVerifier.algorithms', algorithms, `algorithms for a ${keys.kind} key`);
}

/** What jose's errors mean, without their words: they may quote the token. */
function readRefusal(error: unknown): [TokenRefusal, (string | undefined)?] {
  if (error instanceof KeysUnavailable) return ['keys-unavailable'];
  const { code, claim, reason } = error as {
    readonly code?: string;
    readonly claim?: string;
    readonly reason?: string;
  };
  if (code !== 'ERR_JWT_CLAIM_VALIDATION_FAILED') return [REFUSALS[code ?? ''] ?? 'malformed'];
  return claim === 'nbf' && reason === 'check_failed' ? ['not-yet-valid'] : ['claim', claim];
}

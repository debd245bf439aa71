import { randomUUID } from 'node:crypto';
import { MqttCredentialsError } from '../connection-errors.js';
import { OptionChecks } from '../option-checks.js';
import type { CredentialsProvider, CredentialsRequest } from './credentials.js';
import { isJwk, readJwtKey, type JwtAlgorithm, type JwtKey } from './jwt-key.js';
import { signJwt } from './jwt-signature.js';

/** @publicApi */
export type JwtClaims = Readonly<Record<string, unknown>>;

/** @publicApi */
export interface JwtOptions {
  /** See {@link JwtKey}. */
  readonly key: JwtKey;
  readonly algorithm: JwtAlgorithm;
  /** Of an encrypted PEM or DER. */
  readonly passphrase?: string | undefined;
  /** How long a token is good, counted from now (`exp`): 1 to 31 536 000. */
  readonly expiresInSeconds: number;
  /**
   * How far `iat` lies in the past, so that a broker whose clock is slow takes the token: 0 to 3 600. `exp` does not move.
   * Default 30.
   */
  readonly backdateSeconds?: number | undefined;
  /** Adds `nbf`, the same moment as `iat`. Default false. */
  readonly notBefore?: boolean | undefined;
  /** `aud`. */
  readonly audience?: string | readonly string[] | undefined;
  /** `iss`. */
  readonly issuer?: string | undefined;
  /** `sub`. */
  readonly subject?: string | undefined;
  /** Adds `jti`: true for a random UUID, or a function that makes one. Default false. */
  readonly jwtId?: boolean | (() => string) | undefined;
  /** Further claims, or a function that is asked for them for every token. `exp`, `iat` and `nbf` are made here. */
  readonly claims?: JwtClaims | ((request: CredentialsRequest) => JwtClaims | Promise<JwtClaims>) | undefined;
  /** `kid`. Default: that of the key if it is a JWK. */
  readonly keyId?: string | undefined;
  /** Further header parameters. `alg` and `kid` have options of their own; `typ` is `JWT` unless given. */
  readonly header?: Readonly<Record<string, unknown>> | undefined;
  /** The user name beside the token, which is the password; a function is given the request. Default: none. */
  readonly username?: string | ((request: CredentialsRequest) => string) | undefined;
}

const KNOWN = [
  'key',
  'algorithm',
  'passphrase',
  'expiresInSeconds',
  'backdateSeconds',
  'notBefore',
  'audience',
  'issuer',
  'subject',
  'jwtId',
  'claims',
  'keyId',
  'header',
  'username',
] as const satisfies readonly (keyof JwtOptions)[];
const ALGORITHMS = ['RS256', 'ES256', 'EdDSA', 'HS256'] as const;
const YEAR_SECONDS = 31_536_000;
const HOUR_SECONDS = 3_600;
const OF_TIME = ['exp', 'iat', 'nbf'] as const;

/**
 * Credentials whose password is a JSON Web Token, signed anew for every connection attempt and before it expires.
 *
 * ```ts
 * credentials: jwt({ key: readFileSync('device.pem'), algorithm: 'ES256', audience: 'my-project', expiresInSeconds: 3_600 })
 * ```
 *
 * @throws MqttOptionsError naming every mistake; never repeats the key
 * @publicApi
 */
export function jwt(options: JwtOptions): CredentialsProvider {
  const checks = new OptionChecks();
  if (typeof options !== 'object' || options === null) {
    checks.report('jwt', options === null ? null : typeof options, '{ key, algorithm, expiresInSeconds, … }');
    checks.finish();
  }
  checks.unknownKeys('jwt.', options, KNOWN);
  if (options.algorithm === undefined) checks.report('jwt.algorithm', undefined, `one of ${ALGORITHMS.join(', ')}`);
  const algorithm = checks.oneOf('jwt.algorithm', options.algorithm, ALGORITHMS, 'RS256');
  if (options.expiresInSeconds === undefined)
    checks.report('jwt.expiresInSeconds', undefined, `an integer from 1 to ${YEAR_SECONDS}`);
  const expiresInSeconds = checks.integer('jwt.expiresInSeconds', options.expiresInSeconds, 1, YEAR_SECONDS, 1);
  const backdateSeconds = checks.integer('jwt.backdateSeconds', options.backdateSeconds, 0, HOUR_SECONDS, 30);
  const notBefore = checks.boolean('jwt.notBefore', options.notBefore, false);
  checkTexts(options, checks);
  const { audience: aud, issuer: iss, subject: sub } = options;
  const registered = withoutUndefined({ aud, iss, sub });
  const { claims, jwtId, username } = options;
  const taken = [...OF_TIME, ...Object.keys(registered), ...(jwtId ? ['jti'] : [])];
  const problem = typeof claims === 'function' ? undefined : claimsProblem(claims ?? {}, taken);
  if (problem !== undefined) checks.report('jwt.claims', '…', problem);
  // With a wrong algorithm nothing sensible can be said of the key.
  const key = ALGORITHMS.includes(options.algorithm)
    ? readJwtKey(options.key, algorithm, options.passphrase, checks)
    : undefined;
  checks.finish();
  const keyId = options.keyId ?? (isJwk(options.key) ? options.key['kid'] : undefined);
  const header = { typ: 'JWT', ...options.header, ...withoutUndefined({ kid: keyId }), alg: algorithm };

  return async (request) => {
    const further = typeof claims === 'function' ? await claims(request) : (claims ?? {});
    const wrong = claimsProblem(further, taken);
    if (wrong !== undefined) throw new MqttCredentialsError(`jwt: the claims are not ${wrong}`);
    const nowSeconds = Math.floor(request.epochMs / 1_000);
    const iat = nowSeconds - backdateSeconds;
    const exp = nowSeconds + expiresInSeconds;
    const content = {
      header,
      claims: {
        ...further,
        ...registered,
        ...(jwtId ? { jti: jwtId === true ? randomUUID() : jwtId() } : {}),
        iat,
        ...(notBefore ? { nbf: iat } : {}),
        exp,
      },
    };
    return {
      username: typeof username === 'function' ? username(request) : username,
      password: await signJwt(content, key!, request),
      expiresAt: exp * 1_000,
    };
  };
}

function checkTexts(options: JwtOptions, checks: OptionChecks): void {
  const { audience, jwtId, username, header } = options;
  for (const name of ['issuer', 'subject', 'keyId', 'passphrase'] as const) {
    const value: unknown = options[name];
    // One of them is a secret.
    if (!(value === undefined || typeof value === 'string')) checks.report(`jwt.${name}`, '…', 'a string');
  }
  const isAudience = [audience].flat().every((one) => one === undefined || typeof one === 'string');
  if (!isAudience) checks.report('jwt.audience', audience, 'a string, or a list of strings');
  if (!['undefined', 'boolean', 'function'].includes(typeof jwtId))
    checks.report('jwt.jwtId', jwtId, 'true, false or a function');
  if (!['undefined', 'string', 'function'].includes(typeof username))
    checks.report('jwt.username', '…', 'a string or a function that returns one');
  if (header === undefined) return;
  const isObject = typeof header === 'object' && header !== null;
  const refused = isObject ? ['alg', 'kid', 'crit', 'b64'].filter((name) => name in header) : [];
  if (!isObject) checks.report('jwt.header', '…', 'an object');
  for (const name of refused) {
    const cure = { alg: 'the option algorithm', kid: 'the option keyId' }[name] ?? 'a header without it';
    checks.report(`jwt.header.${name}`, '…', `${cure} instead`);
  }
}

/** What the claims should be, if they are something else. */
function claimsProblem(claims: unknown, taken: readonly string[]): string | undefined {
  if (typeof claims !== 'object' || claims === null || Array.isArray(claims)) return 'an object of claims';
  const clash = taken.find((name) => name in claims);
  return clash === undefined ? undefined : `an object without ${clash}: an option of its own sets it`;
}

function withoutUndefined(values: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined));
}

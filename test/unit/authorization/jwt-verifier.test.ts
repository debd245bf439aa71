import { createPublicKey, createSecretKey, generateKeyPairSync } from 'node:crypto';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { inspect } from 'node:util';
import { exportJWK, SignJWT } from 'jose';
import { JwtVerifier, MqttOptionsError, TokenRefusedException, type JwtVerifierOptions } from 'nestjs-rumqtt';
import { describe, expect, onTestFinished, test } from 'vitest';

const p256 = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const rsa = generateKeyPairSync('rsa', { modulusLength: 2_048 });
const ed25519 = generateKeyPairSync('ed25519');
const secret = createSecretKey(Buffer.alloc(32, 'hunter2'));
const nowSeconds = Math.floor(Date.now() / 1_000);

interface Signing {
  readonly key?: Parameters<SignJWT['sign']>[0];
  readonly alg?: string;
  readonly kid?: string;
}

function tokenOf(
  claims: { readonly [claim: string]: unknown } = {},
  { key = p256.privateKey, alg = 'ES256', kid }: Signing = {},
): Promise<string> {
  const all = { iss: 'factory', aud: 'plants', sub: 'plant-7', exp: nowSeconds + 600, ...claims };
  return new SignJWT(all).setProtectedHeader({ alg, ...(kid === undefined ? {} : { kid }) }).sign(key);
}

const OPTIONS: JwtVerifierOptions = {
  keys: p256.publicKey,
  algorithms: ['ES256'],
  issuer: 'factory',
  audience: 'plants',
};

function verifier(options: Partial<JwtVerifierOptions> = {}): JwtVerifier {
  return new JwtVerifier({ ...OPTIONS, ...options });
}

async function refusalOf(token: unknown, made = verifier(), rule?: Parameters<JwtVerifier['verify']>[1]) {
  const error: unknown = await made.verify(token, rule).catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(TokenRefusedException);
  if (typeof token === 'string' && token.length > 0)
    expect(inspect(error, { depth: Infinity, showHidden: true })).not.toContain(token);
  return error as TokenRefusedException;
}

test('a good token: its claims, frozen, and counted', async () => {
  const made = verifier();
  const claims = await made.verify(await tokenOf({ role: 'sensor' }));
  expect(claims).toEqual({ iss: 'factory', aud: 'plants', sub: 'plant-7', exp: nowSeconds + 600, role: 'sensor' });
  expect(Object.isFrozen(claims)).toBe(true);
  expect(made.stats()).toMatchObject({ accepted: 1, refused: { expired: 0 } });
});

test.each<[string, JwtVerifierOptions['keys'], JwtVerifierOptions['algorithms'], Signing]>([
  ['a public KeyObject', rsa.publicKey, ['RS256'], { key: rsa.privateKey, alg: 'RS256' }],
  ['PSS by the same key', rsa.publicKey, ['PS256'], { key: rsa.privateKey, alg: 'PS256' }],
  ['a private KeyObject, for its public half', p256.privateKey, ['ES256'], {}],
  ['PEM', p256.publicKey.export({ format: 'pem', type: 'spki' }) as string, ['ES256'], {}],
  ['a JWK', p256.publicKey.export({ format: 'jwk' }) as never, ['ES256'], {}],
  ['Ed25519', ed25519.publicKey, ['EdDSA'], { key: ed25519.privateKey, alg: 'EdDSA' }],
  ['a secret KeyObject', secret, ['HS256'], { key: secret, alg: 'HS256' }],
  ['a secret JWK', secret.export({ format: 'jwk' }) as never, ['HS256'], { key: secret, alg: 'HS256' }],
  [
    'a key set',
    { keys: [{ ...(p256.publicKey.export({ format: 'jwk' }) as { kty: string }), kid: 'a' }] },
    ['ES256'],
    { kid: 'a' },
  ],
])('keys may be %s', async (_name, keys, algorithms, signing) => {
  const token = await tokenOf({}, signing);
  expect(await verifier({ keys, algorithms }).verify(token)).toMatchObject({ sub: 'plant-7' });
});

describe('a token is refused, with its reason, counted, and never repeated', () => {
  const other = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
  test.each<[string, unknown, string, string?]>([
    ['none', undefined, 'missing'],
    ['an empty one', '', 'malformed'],
    ['a number', 5, 'malformed'],
    ['several', ['a', 'b'], 'malformed'],
    ['text', 'hunter2', 'malformed'],
    ['three parts of nothing', 'a.b.c', 'malformed'],
    ['a huge one', 'x'.repeat(8_193), 'too-large'],
    ['an unsigned one', `${b64({ alg: 'none' })}.${b64({ sub: 'plant-7', exp: nowSeconds + 600 })}.`, 'algorithm'],
    ['another algorithm', () => tokenOf({}, { key: rsa.privateKey, alg: 'RS256' }), 'algorithm'],
    ['the public key as a secret', () => tokenOf({}, { key: publicKeyAsSecret(), alg: 'HS256' }), 'algorithm'],
    ['another key', () => tokenOf({}, { key: other }), 'signature'],
    ['changed claims', async () => swapClaims(await tokenOf()), 'signature'],
    ['an expired one', () => tokenOf({ exp: nowSeconds - 60 }), 'expired'],
    ['one of tomorrow', () => tokenOf({ nbf: nowSeconds + 600 }), 'not-yet-valid'],
    ['no expiry', () => tokenOf({ exp: undefined }), 'claim', 'exp'],
    ['another issuer', () => tokenOf({ iss: 'somebody' }), 'claim', 'iss'],
    ['another audience', () => tokenOf({ aud: 'others' }), 'claim', 'aud'],
    ['no audience', () => tokenOf({ aud: undefined }), 'claim', 'aud'],
    ['a missing claim', () => tokenOf(), 'claim', 'role'],
    ['an expiry that is no number', () => tokenOf({ exp: 'later' }), 'claim', 'exp'],
  ])('%s', async (_name, given, reason, claim) => {
    const token: unknown = typeof given === 'function' ? await (given as () => unknown)() : given;
    const made = verifier(claim === 'role' ? { requiredClaims: ['role'] } : {});
    const error = await refusalOf(token, made);
    expect(error).toMatchObject({ reason, claim });
    expect(error.getError()).toMatchObject({ status: 'error', code: 'TOKEN_REFUSED', reason });
    const { accepted, refused } = made.stats();
    expect(accepted).toBe(0);
    expect(Object.entries(refused).filter(([, count]) => count > 0)).toEqual([[reason, 1]]);
  });

  test('a genuine one that the application does not allow', async () => {
    expect(await refusalOf(await tokenOf(), verifier(), ({ sub }) => sub === 'plant-8')).toMatchObject({
      reason: 'not-allowed',
    });
    await verifier().verify(await tokenOf(), async ({ sub }) => sub === 'plant-7');
  });
});

test('clocks may differ by the tolerance and no more', async () => {
  await verifier().verify(await tokenOf({ exp: nowSeconds - 20 }));
  await verifier().verify(await tokenOf({ nbf: nowSeconds + 20 }));
  const strict = verifier({ clockToleranceSeconds: 0 });
  expect(await refusalOf(await tokenOf({ exp: nowSeconds - 20 }), strict)).toMatchObject({ reason: 'expired' });
});

test('one of several issuers and audiences', async () => {
  const made = verifier({ issuer: ['other', 'factory'], audience: ['plants', 'tools'] });
  await made.verify(await tokenOf({ aud: ['x', 'tools'] }));
  expect(await refusalOf(await tokenOf({ iss: 'third' }), made)).toMatchObject({ claim: 'iss' });
});

describe('a key set by URL', () => {
  async function serve(listener: RequestListener): Promise<string> {
    const server = createServer(listener);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    onTestFinished(() => {
      server.closeAllConnections();
      server.close();
    });
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}/jwks.json`;
  }
  const keySet = async (): Promise<string> =>
    JSON.stringify({ keys: [{ ...(await exportJWK(p256.publicKey)), kid: 'a', alg: 'ES256' }] });

  test('is fetched once for many tokens, and not again for every unknown key', async () => {
    let fetches = 0;
    const body = await keySet();
    const url = await serve((_request, response) => {
      fetches++;
      response.setHeader('content-type', 'application/json').end(body);
    });
    const made = verifier({ keys: url });
    const good = await tokenOf({}, { kid: 'a' });
    await Promise.all(Array.from({ length: 20 }, () => made.verify(good)));
    for (let time = 0; time < 20; time++) await made.verify(good);
    const unknown = await tokenOf({}, { kid: `unknown-${Math.random()}` });
    for (let time = 0; time < 5; time++)
      expect(await refusalOf(unknown, made)).toMatchObject({ reason: 'unknown-key' });
    expect(fetches).toBe(1);
    expect(made.stats()).toMatchObject({ accepted: 40, refused: { 'unknown-key': 5 } });
  });

  test.each<[string, RequestListener]>([
    ['fails', (_request, response) => response.writeHead(500).end('hunter2')],
    ['is no JSON', (_request, response) => response.end('hunter2')],
    ['is no key set', (_request, response) => response.end('{"hunter2":1}')],
    ['is cut', (request) => request.socket.destroy()],
    ['never comes', () => {}],
  ])('whose answer %s says nothing of the token, and is asked for again', async (_name, answer) => {
    let isBroken = true;
    const body = await keySet();
    const url = await serve((request, response) => (isBroken ? answer(request, response) : response.end(body)));
    const made = verifier({ keys: new URL(url), keysTimeoutMs: 1_000 });
    const token = await tokenOf({}, { kid: 'a' });
    const error = await refusalOf(token, made);
    expect(error).toMatchObject({ reason: 'keys-unavailable' });
    expect(inspect(error, { depth: Infinity })).not.toContain('hunter2');
    isBroken = false;
    expect(await made.verify(token)).toMatchObject({ sub: 'plant-7' });
  });
});

test.each<[string, Record<string, unknown>, string]>([
  ['no keys', { keys: undefined }, 'jwtVerifier.keys'],
  ['text for keys', { keys: 'hunter2' }, 'jwtVerifier.keys'],
  ['an http: URL', { keys: 'http://example.org/hunter2' }, 'jwtVerifier.keys'],
  ['a file: URL', { keys: 'file:///hunter2' }, 'jwtVerifier.keys'],
  ['a URL with user information', { keys: 'https://user:hunter2@example.org/jwks' }, 'jwtVerifier.keys'],
  ['a key set with a secret', { keys: { keys: [secret.export({ format: 'jwk' })] } }, 'jwtVerifier.keys'],
  ['an empty key set', { keys: { keys: [] } }, 'jwtVerifier.keys'],
  ['a JWK that cannot be read', { keys: { kty: 'hunter2' } }, 'jwtVerifier.keys'],
  ['no algorithms', { algorithms: undefined }, 'jwtVerifier.algorithms'],
  ['an empty list of algorithms', { algorithms: [] }, 'jwtVerifier.algorithms'],
  ['the algorithm none', { algorithms: ['ES256', 'none'] }, 'jwtVerifier.algorithms'],
  ['HS256 with a public key', { algorithms: ['ES256', 'HS256'] }, 'jwtVerifier.algorithms'],
  ['ES256 with a secret', { keys: secret }, 'jwtVerifier.algorithms'],
  ['a number for an issuer', { issuer: 5 }, 'jwtVerifier.issuer'],
  ['an empty list of audiences', { audience: [] }, 'jwtVerifier.audience'],
  ['a number among required claims', { requiredClaims: ['sub', 5] }, 'jwtVerifier.requiredClaims'],
  ['a tolerance of a day', { clockToleranceSeconds: 86_400 }, 'jwtVerifier.clockToleranceSeconds'],
  ['no room for a token', { maxTokenBytes: 1 }, 'jwtVerifier.maxTokenBytes'],
  ['a cache without end', { keysMaxAgeSeconds: Infinity }, 'jwtVerifier.keysMaxAgeSeconds'],
  ['a timeout of 0', { keysTimeoutMs: 0 }, 'jwtVerifier.keysTimeoutMs'],
  ['an unknown option', { secret: 'hunter2' }, 'jwtVerifier.secret'],
])('%s is an error that names the option and repeats nothing', (_name, wrong, option) => {
  let thrown: unknown;
  try {
    verifier(wrong);
  } catch (error) {
    thrown = error;
  }
  expect(thrown).toBeInstanceOf(MqttOptionsError);
  expect((thrown as MqttOptionsError).issues.map((issue) => issue.option)).toEqual([option]);
  expect(inspect(thrown, { depth: Infinity, showHidden: true })).not.toContain('hunter2');
});

test('a verifier shows neither keys nor tokens', async () => {
  const made = new JwtVerifier({ keys: secret, algorithms: ['HS256'] });
  const token = await tokenOf({}, { key: secret, alg: 'HS256' });
  await made.verify(token);
  const shown = inspect(made, { depth: Infinity, showHidden: true }) + JSON.stringify(made);
  for (const canary of ['hunter2', token, secret.export().toString('base64url')]) expect(shown).not.toContain(canary);
});

function b64(value: unknown): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url');
}

function swapClaims(token: string): string {
  const [header, , signature] = token.split('.');
  return `${header}.${b64({ sub: 'admin', exp: nowSeconds + 600 })}.${signature}`;
}

function publicKeyAsSecret(): Uint8Array {
  return Buffer.from(createPublicKey(p256.privateKey).export({ format: 'pem', type: 'spki' }));
}

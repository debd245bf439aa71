import {
  createHmac,
  createPublicKey,
  createSecretKey,
  generateKeyPairSync,
  sign,
  verify,
  type KeyObject,
  type SignKeyObjectInput,
} from 'node:crypto';
import { decodeJwt, decodeProtectedHeader, jwtVerify } from 'jose';
import {
  googleIotCore,
  googleIotCoreClientId,
  jwt,
  MqttCredentialsError,
  type CredentialsProvider,
  type CredentialsRequest,
  type JwtAlgorithm,
  type JwtKey,
  type JwtOptions,
} from 'nestjs-rumqtt/eventloop';
import { describe, expect, test } from 'vitest';

const NOW_SECONDS = 1_900_000_000;
const rsa = generateKeyPairSync('rsa', { modulusLength: 2_048 }).privateKey;
const p256 = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
const ed25519 = generateKeyPairSync('ed25519').privateKey;
const secret = createSecretKey(Buffer.from('0123456789abcdef0123456789abcdef'));
const KEYS = { RS256: rsa, ES256: p256, EdDSA: ed25519, HS256: secret };

function request(more: Partial<CredentialsRequest> = {}): CredentialsRequest {
  const { signal } = new AbortController();
  return { clientId: 'plant-7', server: 'mqtt://broker:1883', epochMs: NOW_SECONDS * 1_000 + 345, signal, ...more };
}

async function tokenOf(provider: CredentialsProvider, asked = request()): Promise<string> {
  return (await provider(asked)).password as string;
}

function claimsFor(options: Partial<JwtOptions>): Promise<Record<string, unknown>> {
  return tokenOf(jwt({ key: secret, algorithm: 'HS256', expiresInSeconds: 60, ...options })).then(decodeJwt);
}

/** By OpenSSL, without the library that signed. */
function isSignedBy(key: KeyObject, algorithm: JwtAlgorithm, token: string): boolean {
  const [header, claims, signature] = token.split('.') as [string, string, string];
  const input = Buffer.from(`${header}.${claims}`);
  const bytes = Buffer.from(signature, 'base64url');
  if (algorithm === 'HS256') return createHmac('sha256', key).update(input).digest().equals(bytes);
  const how = { key: createPublicKey(key), dsaEncoding: 'ieee-p1363' as const };
  return verify(algorithm === 'EdDSA' ? null : 'sha256', input, how, bytes);
}

const rsaPem = (type: 'pkcs1' | 'pkcs8') => rsa.export({ format: 'pem', type }) as string;
const FORMS: readonly [string, JwtAlgorithm, JwtKey, string?][] = [
  ['RSA as PKCS #8 PEM', 'RS256', rsaPem('pkcs8')],
  ['RSA as PKCS #1 PEM', 'RS256', rsaPem('pkcs1')],
  ['RSA as PEM in bytes', 'RS256', Buffer.from(rsaPem('pkcs8'))],
  ['RSA as PEM with text before it', 'RS256', `Bag Attributes: none\n${rsaPem('pkcs8')}`],
  ['RSA as PKCS #1 DER', 'RS256', rsa.export({ format: 'der', type: 'pkcs1' })],
  ['RSA as PKCS #8 DER', 'RS256', new Uint8Array(rsa.export({ format: 'der', type: 'pkcs8' }))],
  ['RSA as a JWK', 'RS256', rsa.export({ format: 'jwk' }) as never],
  ['RSA as a KeyObject', 'RS256', rsa],
  [
    'RSA as encrypted PKCS #8',
    'RS256',
    rsa.export({ format: 'pem', type: 'pkcs8', cipher: 'aes-256-cbc', passphrase: 'open sesame' }),
    'open sesame',
  ],
  [
    'RSA as encrypted PKCS #1',
    'RS256',
    rsa.export({ format: 'pem', type: 'pkcs1', cipher: 'aes-256-cbc', passphrase: 'open sesame' }),
    'open sesame',
  ],
  ['EC as SEC 1 PEM', 'ES256', p256.export({ format: 'pem', type: 'sec1' })],
  ['EC as PKCS #8 PEM', 'ES256', p256.export({ format: 'pem', type: 'pkcs8' })],
  ['EC as SEC 1 DER', 'ES256', p256.export({ format: 'der', type: 'sec1' })],
  ['EC as a JWK', 'ES256', p256.export({ format: 'jwk' }) as never],
  ['EC as a KeyObject', 'ES256', p256],
  ['Ed25519 as PKCS #8 PEM', 'EdDSA', ed25519.export({ format: 'pem', type: 'pkcs8' })],
  ['Ed25519 as PKCS #8 DER', 'EdDSA', ed25519.export({ format: 'der', type: 'pkcs8' })],
  ['Ed25519 as a JWK', 'EdDSA', ed25519.export({ format: 'jwk' }) as never],
  ['Ed25519 as a KeyObject', 'EdDSA', ed25519],
  ['a secret as text', 'HS256', secret.export().toString()],
  ['a secret as bytes', 'HS256', new Uint8Array(secret.export())],
  ['a secret as a JWK', 'HS256', secret.export({ format: 'jwk' }) as never],
  ['a secret as a KeyObject', 'HS256', secret],
];

test.each(FORMS)('%s signs tokens that jose and OpenSSL verify', async (_name, algorithm, key, passphrase) => {
  const token = await tokenOf(jwt({ key, algorithm, passphrase, expiresInSeconds: 60, audience: 'plant' }));
  const publicKey = algorithm === 'HS256' ? secret : createPublicKey(KEYS[algorithm]);
  const options = { algorithms: [algorithm], audience: 'plant', currentDate: new Date(NOW_SECONDS * 1_000) };
  const { payload, protectedHeader } = await jwtVerify(token, publicKey, options);
  expect(protectedHeader).toEqual({ alg: algorithm, typ: 'JWT' });
  expect(payload).toEqual({ aud: 'plant', iat: NOW_SECONDS - 30, exp: NOW_SECONDS + 60 });
  expect(isSignedBy(KEYS[algorithm], algorithm, token)).toBe(true);
});

describe('a function that signs elsewhere', () => {
  const signers: readonly [string, JwtAlgorithm, SignKeyObjectInput | undefined][] = [
    ['RS256', 'RS256', { key: rsa }],
    ['ES256 as JWS has it', 'ES256', { key: p256, dsaEncoding: 'ieee-p1363' }],
    ['ES256 in DER, as a KMS returns it', 'ES256', { key: p256, dsaEncoding: 'der' }],
    ['EdDSA', 'EdDSA', { key: ed25519 }],
    ['HS256', 'HS256', undefined],
  ];
  test.each(signers)('%s: its tokens verify, many times over', async (_name, algorithm, how) => {
    const signer = async (input: Uint8Array): Promise<Uint8Array> =>
      how === undefined
        ? createHmac('sha256', secret).update(input).digest()
        : sign(algorithm === 'EdDSA' ? null : 'sha256', input, how);
    const provider = jwt({ key: signer, algorithm, expiresInSeconds: 60, jwtId: true });
    // DER drops leading zeros: one signature in 128 is shorter.
    for (let time = 0; time < 300; time++) {
      const token = await tokenOf(provider);
      expect(isSignedBy(KEYS[algorithm], algorithm, token)).toBe(true);
    }
    const publicKey = algorithm === 'HS256' ? secret : createPublicKey(KEYS[algorithm]);
    await jwtVerify(await tokenOf(provider), publicKey, { currentDate: new Date(NOW_SECONDS * 1_000) });
  });

  test('is told of the request, and its failure is the cause', async () => {
    const asked = request();
    const requests: CredentialsRequest[] = [];
    const broken = new Error('the KMS is away');
    const provider = jwt({
      key: (_input, told) => {
        requests.push(told);
        throw broken;
      },
      algorithm: 'RS256',
      expiresInSeconds: 60,
    });
    await expect(Promise.resolve(provider(asked))).rejects.toBe(broken);
    expect(requests).toEqual([asked]);
  });

  test.each([
    ['text', 'RS256', 'c2lnbmF0dXJl', 'returned string'],
    ['nothing', 'RS256', undefined, 'returned undefined'],
    ['too few bytes', 'RS256', new Uint8Array(128), '128 bytes'],
    ['a digest in place of a signature', 'EdDSA', new Uint8Array(32), '32 bytes'],
    [
      'DER with a number that is too long',
      'ES256',
      der(new Uint8Array(40).fill(1), new Uint8Array(32).fill(1)),
      '78 bytes',
    ],
    [
      'DER that ends early',
      'ES256',
      der(new Uint8Array(32).fill(1), new Uint8Array(33).fill(1)).subarray(0, 70),
      '70 bytes',
    ],
    ['DER with bytes behind it', 'ES256', Buffer.concat([der(Buffer.of(1), Buffer.of(1)), Buffer.of(0)]), '9 bytes'],
    ['no bytes at all', 'ES256', new Uint8Array(0), '0 bytes'],
  ] as const)('that returns %s fails the credentials', async (_name, algorithm, returned, told) => {
    const provider = jwt({ key: () => returned as never, algorithm, expiresInSeconds: 60 });
    const failed = tokenOf(provider);
    await expect(failed).rejects.toThrow(MqttCredentialsError);
    await expect(failed).rejects.toThrow(told);
  });
});

function der(r: Uint8Array, s: Uint8Array): Buffer {
  const body = Buffer.concat([Buffer.of(2, r.length), r, Buffer.of(2, s.length), s]);
  return Buffer.concat([Buffer.of(0x30, body.length), body]);
}

describe('the claims', () => {
  test('exp counts from now, iat is dated back, and the credentials expire with the token', async () => {
    const options = { key: secret, algorithm: 'HS256', expiresInSeconds: 3_600 } as const;
    const { expiresAt, password, username } = await jwt(options)(request());
    expect(decodeJwt(password as string)).toEqual({ iat: NOW_SECONDS - 30, exp: NOW_SECONDS + 3_600 });
    expect(expiresAt).toBe((NOW_SECONDS + 3_600) * 1_000);
    expect(username).toBeUndefined();
    expect(await claimsFor({ backdateSeconds: 0 })).toEqual({ iat: NOW_SECONDS, exp: NOW_SECONDS + 60 });
    expect(await claimsFor({ backdateSeconds: 300, notBefore: true })).toEqual({
      iat: NOW_SECONDS - 300,
      nbf: NOW_SECONDS - 300,
      exp: NOW_SECONDS + 60,
    });
  });

  test('registered ones have options, further ones come along', async () => {
    const claims = { site: 'north', aud: ['a', 'b'] };
    expect(await claimsFor({ issuer: 'me', subject: 'plant-7', claims })).toMatchObject({
      iss: 'me',
      sub: 'plant-7',
      site: 'north',
      aud: ['a', 'b'],
    });
    expect(await claimsFor({ audience: ['x', 'y'] })).toMatchObject({ aud: ['x', 'y'] });
  });

  test('a function is asked for every token, with the request', async () => {
    let calls = 0;
    const provider = jwt({
      key: secret,
      algorithm: 'HS256',
      expiresInSeconds: 60,
      claims: async ({ clientId, server }) => ({ clientId, server, call: ++calls }),
      username: ({ clientId }) => `device:${clientId}`,
    });
    for (const call of [1, 2]) {
      const { username, password } = await provider(request());
      expect(decodeJwt(password as string)).toMatchObject({ clientId: 'plant-7', server: 'mqtt://broker:1883', call });
      expect(username).toBe('device:plant-7');
    }
  });

  test('a function cannot move the expiry, nor return anything else than claims', async () => {
    for (const returned of [{ exp: 1 }, { iat: 1 }, { aud: 'other' }, 'claims', null, [1]]) {
      const options = { key: secret, algorithm: 'HS256', audience: 'a', expiresInSeconds: 60 } as const;
      const provider = jwt({ ...options, claims: () => returned as never });
      await expect(tokenOf(provider)).rejects.toThrow('jwt: the claims are not an object');
    }
  });

  test('jti: a UUID of its own in every token, or what a function makes', async () => {
    const provider = jwt({ key: secret, algorithm: 'HS256', expiresInSeconds: 60, jwtId: true });
    const [first, second] = [decodeJwt(await tokenOf(provider)).jti, decodeJwt(await tokenOf(provider)).jti];
    expect(first).toMatch(/^[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}$/);
    expect(second).not.toBe(first);
    expect(await claimsFor({ jwtId: () => 'mine' })).toMatchObject({ jti: 'mine' });
    expect(await claimsFor({ jwtId: false, claims: { jti: 'theirs' } })).toMatchObject({ jti: 'theirs' });
  });

  test('the header carries kid, by option or of the JWK, and what is given', async () => {
    const jwk = { ...p256.export({ format: 'jwk' }), kid: 'of-the-jwk', alg: 'ES256' } as never;
    const headerOf = async (options: Partial<JwtOptions>): Promise<unknown> =>
      decodeProtectedHeader(await tokenOf(jwt({ key: jwk, algorithm: 'ES256', expiresInSeconds: 60, ...options })));
    expect(await headerOf({})).toEqual({ alg: 'ES256', typ: 'JWT', kid: 'of-the-jwk' });
    expect(await headerOf({ keyId: 'mine' })).toEqual({ alg: 'ES256', typ: 'JWT', kid: 'mine' });
    expect(await headerOf({ header: { typ: 'at+jwt', cty: 'x' } })).toMatchObject({ typ: 'at+jwt', cty: 'x' });
  });
});

describe('googleIotCore', () => {
  test('user name "unused", the project as the audience, an hour, and no more than a day', async () => {
    const { username, password, expiresAt } = await googleIotCore({ projectId: 'my-project', privateKey: rsa })(
      request(),
    );
    expect(username).toBe('unused');
    expect(decodeJwt(password as string)).toEqual({
      aud: 'my-project',
      iat: NOW_SECONDS - 30,
      exp: NOW_SECONDS + 3_600,
    });
    expect(expiresAt).toBe((NOW_SECONDS + 3_600) * 1_000);
    expect(isSignedBy(rsa, 'RS256', password as string)).toBe(true);
    const day = googleIotCore({ projectId: 'p', privateKey: p256, algorithm: 'ES256', expiresInSeconds: 86_370 });
    const { iat, exp } = decodeJwt(await tokenOf(day));
    expect(exp! - iat!).toBe(86_400);
  });

  test.each([
    [{ projectId: '', privateKey: rsa }, 'googleIotCore.projectId'],
    [{ projectId: 'p', privateKey: rsa, expiresInSeconds: 86_371 }, 'googleIotCore.expiresInSeconds'],
    [{ projectId: 'p', privateKey: rsa, algorithm: 'HS256' }, 'googleIotCore.algorithm'],
    [{ projectId: 'p', privateKey: p256 }, 'jwt.key'],
    [{ projectId: 'p', privateKey: rsa, audience: 'p' }, 'googleIotCore.audience'],
    [undefined, 'googleIotCore.projectId'],
  ])('%j is refused for its %s', (options, option) => {
    expect(() => googleIotCore(options as never)).toThrow(option);
  });

  test('its client identifier', () => {
    const device = { projectId: 'p', location: 'europe-west1', registryId: 'r', deviceId: 'd' };
    expect(googleIotCoreClientId(device)).toBe('projects/p/locations/europe-west1/registries/r/devices/d');
    expect(() => googleIotCoreClientId({ ...device, deviceId: 'a/b', registryId: '' })).toThrow(
      /googleIotCoreClientId.registryId.*googleIotCoreClientId.deviceId/,
    );
  });
});

import { createPublicKey, createSecretKey, generateKeyPairSync } from 'node:crypto';
import { inspect } from 'node:util';
import { jwt, MqttOptionsError, type JwtOptions } from 'nestjs-rumqtt/eventloop';
import { expect, test } from 'vitest';

const rsa = generateKeyPairSync('rsa', { modulusLength: 2_048 }).privateKey;
const p256 = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
const p384 = generateKeyPairSync('ec', { namedCurve: 'P-384' }).privateKey;
const pem = rsa.export({ format: 'pem', type: 'pkcs8' }) as string;
const encrypted = rsa.export({ format: 'pem', type: 'pkcs8', cipher: 'aes-256-cbc', passphrase: 'right' }) as string;
const publicPem = createPublicKey(rsa).export({ format: 'pem', type: 'spki' }) as string;
/** Of every key below some part stands in it. */
const lines = (text: string): string[] =>
  text.split('\n').filter((line) => line.length > 20 && !line.startsWith('---'));

const WRONG: readonly [string, Partial<Record<keyof JwtOptions | 'secret', unknown>>, string, string?][] = [
  ['no key', { key: undefined }, 'jwt.key', 'PEM, DER, a JWK, a KeyObject or a function'],
  ['a number for a key', { key: 5 }, 'jwt.key'],
  ['text that is no PEM', { key: 'hunter2-hunter2-hunter2' }, 'jwt.key', 'no PEM'],
  ['a path in place of a key', { key: '/run/secrets/device.pem' }, 'jwt.key', 'was it read from its file?'],
  ['PEM with \\n for its line breaks', { key: pem.replaceAll('\n', '\\n') }, 'jwt.key', 'put real ones in'],
  ['damaged PEM', { key: pem.replace(/[A-Za-z]{8}/g, '????') }, 'jwt.key'],
  ['PEM cut short', { key: pem.slice(0, 600) }, 'jwt.key', 'damaged'],
  ['a public key', { key: publicPem }, 'jwt.key', 'this is a public key'],
  ['a certificate', { key: publicPem.replaceAll('PUBLIC KEY', 'CERTIFICATE') }, 'jwt.key', 'this is a certificate'],
  ['a public KeyObject', { key: createPublicKey(rsa) }, 'jwt.key', 'not a public rsa key (2048 bits)'],
  ['an encrypted key without passphrase', { key: encrypted }, 'jwt.key', 'give its passphrase'],
  [
    'an encrypted key with another passphrase',
    { key: encrypted, passphrase: 'hunter2' },
    'jwt.key',
    'does not open it',
  ],
  ['bytes that are no DER', { key: Buffer.from('hunter2') }, 'jwt.key', 'neither PEM nor DER'],
  ['an RSA key for ES256', { key: rsa, algorithm: 'ES256' }, 'jwt.key', 'an EC private key on the curve P-256'],
  ['an EC key for RS256', { key: p256 }, 'jwt.key', 'not a private ec key (prime256v1)'],
  ['an EC key for EdDSA', { key: p256, algorithm: 'EdDSA' }, 'jwt.key', 'an Ed25519 private key'],
  ['a key on another curve', { key: p384, algorithm: 'ES256' }, 'jwt.key', 'secp384r1'],
  ['a short RSA key', { key: generateKeyPairSync('rsa', { modulusLength: 1_024 }).privateKey }, 'jwt.key', '1024 bits'],
  ['a public JWK', { key: createPublicKey(rsa).export({ format: 'jwk' }) }, 'jwt.key', 'no private part'],
  ['a JWK for another algorithm', { key: { ...rsa.export({ format: 'jwk' }), alg: 'PS256' } }, 'jwt.key', 'otherwise'],
  ['a JWK of an unknown kind', { key: { kty: 'hunter2', d: 'hunter2' } }, 'jwt.key', 'cannot be read'],
  ['a short secret', { key: 'hunter2', algorithm: 'HS256' }, 'jwt.key', 'at least 32 bytes'],
  ['an empty secret', { key: '', algorithm: 'HS256' }, 'jwt.key', 'at least 32 bytes'],
  ['a PEM key as a secret', { key: publicPem, algorithm: 'HS256' }, 'jwt.key', 'choose RS256, ES256 or EdDSA'],
  ['a private KeyObject as a secret', { key: rsa, algorithm: 'HS256' }, 'jwt.key', 'a secret for HS256'],
  ['an RSA JWK as a secret', { key: rsa.export({ format: 'jwk' }), algorithm: 'HS256' }, 'jwt.key', 'kty "oct"'],
  [
    'a secret KeyObject for RS256',
    { key: createSecretKey(Buffer.alloc(32, 'hunter2')) },
    'jwt.key',
    'not a secret key',
  ],
  ['no algorithm', { algorithm: undefined }, 'jwt.algorithm', 'one of RS256, ES256, EdDSA, HS256'],
  ['an unknown algorithm', { algorithm: 'none' }, 'jwt.algorithm', "'RS256'"],
  ['no lifetime', { expiresInSeconds: undefined }, 'jwt.expiresInSeconds', 'from 1 to 31536000'],
  ['a lifetime in milliseconds', { expiresInSeconds: 3_600_000_000 }, 'jwt.expiresInSeconds'],
  ['a lifetime of 0', { expiresInSeconds: 0 }, 'jwt.expiresInSeconds'],
  ['a lifetime of half a second', { expiresInSeconds: 0.5 }, 'jwt.expiresInSeconds'],
  ['a negative date', { backdateSeconds: -1 }, 'jwt.backdateSeconds'],
  ['text for a switch', { notBefore: 'yes' }, 'jwt.notBefore'],
  ['a number for an issuer', { issuer: 5 }, 'jwt.issuer'],
  ['an object for a key id', { keyId: {} }, 'jwt.keyId'],
  ['a number for a passphrase', { passphrase: 4_711 }, 'jwt.passphrase'],
  ['a list of numbers for an audience', { audience: [1] }, 'jwt.audience'],
  ['a number for a jti', { jwtId: 5 }, 'jwt.jwtId'],
  ['a number for a user name', { username: 5 }, 'jwt.username'],
  ['exp among the claims', { claims: { exp: 5 } }, 'jwt.claims', 'without exp'],
  ['aud twice', { claims: { aud: 'a' }, audience: 'b' }, 'jwt.claims', 'without aud'],
  ['claims as text', { claims: 'hunter2' }, 'jwt.claims', 'an object of claims'],
  ['alg in the header', { header: { alg: 'none' } }, 'jwt.header.alg', 'the option algorithm instead'],
  ['crit in the header', { header: { crit: ['b64'] } }, 'jwt.header.crit'],
  ['text for a header', { header: 'hunter2' }, 'jwt.header'],
  ['an unknown option', { secret: 'hunter2' }, 'jwt.secret', 'no such option'],
];

test.each(WRONG)(
  '%s is an error that names the option and the cure, never the key',
  (_name, wrong, option, told = '') => {
    let thrown: unknown;
    try {
      jwt({ key: rsa, algorithm: 'RS256', expiresInSeconds: 60, ...wrong } as never);
    } catch (error) {
      thrown = error;
    }
    expect(thrown).toBeInstanceOf(MqttOptionsError);
    const error = thrown as MqttOptionsError;
    expect(error.issues.map((issue) => issue.option)).toEqual([option]);
    expect(error.message).toContain(told);
    const said = inspect(error, { depth: Infinity, showHidden: true }) + JSON.stringify(error) + String(error.stack);
    for (const secret of ['hunter2', '4711', '/run/secrets', ...lines(pem), ...lines(encrypted), ...lines(publicPem)])
      expect(said).not.toContain(secret);
  },
);

test('every mistake is told at once', () => {
  expect(() => jwt({ key: 5, algorithm: 'RS256', expiresInSeconds: -1, typo: 1 } as never)).toThrow(
    /jwt\.typo.*jwt\.expiresInSeconds.*jwt\.key/s,
  );
  for (const nothing of [undefined, null, 'token']) expect(() => jwt(nothing as never)).toThrow(MqttOptionsError);
});

test('the provider shows no key', () => {
  const provider = jwt({ key: pem, algorithm: 'RS256', expiresInSeconds: 60 });
  const shown = inspect(provider, { depth: Infinity, showHidden: true });
  for (const line of lines(pem)) expect(shown).not.toContain(line);
});

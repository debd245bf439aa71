import { createPrivateKey } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { MqttOptionsError, type OptionIssue } from '../../../lib/eventloop/errors.js';
import { resolveOptions } from '../../../lib/eventloop/resolve-options.js';
import { CertificateAuthority, type Certificate } from '../../fixtures/certificates.js';

const PASSPHRASE = 'canary-passphrase';

let authority: CertificateAuthority;
let client: Certificate;
let other: Certificate;
let encryptedKey: string;
let pfxFile: string;

beforeAll(() => {
  authority = new CertificateAuthority();
  client = authority.issue('client');
  other = authority.issue('other');
  pfxFile = authority.pfx(client, PASSPHRASE);
  encryptedKey = createPrivateKey(client.key)
    .export({ type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: PASSPHRASE })
    .toString();
});

afterAll(() => authority[Symbol.dispose]());

/** Fails when the error repeats what it must not. */
function issuesOf(tls: unknown, url: string | string[] = 'mqtts://broker'): readonly OptionIssue[] {
  try {
    resolveOptions({ url, tls: tls as never });
  } catch (error) {
    if (!(error instanceof MqttOptionsError)) throw error;
    expect(inspect(error, { depth: Infinity, showHidden: true })).not.toMatch(/canary|[A-Za-z\d+/=]{64}/);
    return error.issues;
  }
  return [];
}

test.each([
  ['nothing', () => ({})],
  ['no option at all', () => undefined],
  ['one authority', () => ({ ca: authority.ca })],
  ['several authorities, text and bytes', () => ({ ca: [authority.ca, Buffer.from(client.cert)] })],
  ['several authorities in one text', () => ({ ca: `# ours\n${authority.ca}\n# theirs\n${client.cert}` })],
  ['certificate and key', () => ({ cert: client.cert, key: client.key })],
  ['a certificate with its chain', () => ({ cert: client.cert + authority.ca, key: client.key })],
  [
    'certificate and key in one file',
    () => {
      const file = join(authority.directory, 'both.pem');
      writeFileSync(file, client.key + client.cert);
      return { certFile: file, keyFile: file };
    },
  ],
  ['text beside a file', () => ({ certFile: client.certFile, key: client.key })],
  ['an encrypted key', () => ({ cert: client.cert, key: encryptedKey, passphrase: PASSPHRASE })],
  ['a PKCS#12 archive', () => ({ pfx: readFileSync(pfxFile), passphrase: PASSPHRASE })],
  ['a PKCS#12 file', () => ({ pfxFile, passphrase: PASSPHRASE })],
  ['a revocation list', () => ({ crlFile: authority.revoke() })],
  [
    'the rest',
    () => ({
      alpnProtocols: ['x-amzn-mqtt-ca'],
      servername: 'broker.example',
      rejectUnauthorized: false,
      minVersion: 'TLSv1.3',
      maxVersion: 'TLSv1.3',
      ciphers: 'HIGH',
    }),
  ],
] satisfies [string, () => unknown][])('%s is taken', (_what, tls) => {
  expect(issuesOf(tls())).toEqual([]);
});

const broken = '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n';

describe.each([
  ['a key without a certificate', () => ({ key: client.key }), 'tls.cert', /certificate of tls.key/],
  ['a key file without a certificate', () => ({ keyFile: client.keyFile }), 'tls.cert', /certificate of tls.key/],
  ['a certificate without a key', () => ({ cert: client.cert }), 'tls.key', /private key of tls.cert/],
  ['a passphrase for nothing', () => ({ passphrase: PASSPHRASE }), 'tls.passphrase', /tls.key or tls.pfx/],
  ['text and file of the same', () => ({ ca: authority.ca, caFile: authority.caFile }), 'tls.ca', /either.*tls.caFile/],
  [
    'an archive and a certificate',
    () => ({ pfxFile, certFile: client.certFile, keyFile: client.keyFile }),
    'tls.pfx',
    /either/,
  ],
  ['an authority that is no PEM', () => ({ ca: 'canary' }), 'tls.ca', /PEM certificate.*"File"/],
  ['an authority that is a path', () => ({ ca: '/etc/ca.pem' }), 'tls.ca', /PEM certificate.*"File"/],
  ['a damaged authority behind a good one', () => ({ ca: authority.ca + broken }), 'tls.ca', /PEM certificate/],
  ['a cut authority', () => ({ ca: authority.ca.slice(0, -30) }), 'tls.ca', /PEM certificate/],
  ['an authority that is a key', () => ({ ca: client.key }), 'tls.ca', /PEM certificate/],
  ['an empty list', () => ({ ca: [] }), 'tls.ca', /PEM text or bytes/],
  ['a certificate of a wrong type', () => ({ cert: { canary: 1 }, key: client.key }), 'tls.cert', /PEM text or bytes/],
  ['a key that is a certificate', () => ({ cert: client.cert, key: client.cert }), 'tls.key', /PEM private key/],
  ['a key of another certificate', () => ({ cert: client.cert, key: other.key }), 'tls.key', /belong.*tls\.cert/],
  [
    'a key file of another certificate',
    () => ({ cert: client.cert, keyFile: other.keyFile }),
    /^tls\.keyFile/,
    /belong/,
  ],
  [
    'an encrypted key without passphrase',
    () => ({ cert: client.cert, key: encryptedKey }),
    'tls.passphrase',
    /missing/,
  ],
  [
    'a wrong passphrase',
    () => ({ cert: client.cert, key: encryptedKey, passphrase: 'canary' }),
    'tls.passphrase',
    /open/,
  ],
  ['an archive that is text', () => ({ pfx: 'canary' }), 'tls.pfx', /PKCS#12/],
  ['an archive that is none', () => ({ pfx: Buffer.from('canary') }), 'tls.pfx', /PKCS#12/],
  ['an archive with a wrong passphrase', () => ({ pfxFile, passphrase: 'canary' }), /^tls\.pfxFile/, /tls\.passphrase/],
  ['a revocation list that is none', () => ({ crl: 'canary' }), 'tls', /CRL/],
  ['a file that does not exist', () => ({ caFile: '/nowhere/ca.pem' }), 'tls.caFile', /\/nowhere\/ca\.pem.*ENOENT/],
  ['a file that is a directory', () => ({ caFile: '/' }), 'tls.caFile', /EISDIR/],
  ['a file that is its content', () => ({ caFile: authority.ca }), 'tls.caFile', /path/],
  ['a number for a file', () => ({ keyFile: 5, cert: client.cert }), 'tls.keyFile', /path/],
  ['two files where one can be', () => ({ certFile: [client.certFile], key: client.key }), 'tls.certFile', /path/],
  ['an address for a name', () => ({ servername: '127.0.0.1' }), 'tls.servername', /host name/],
  ['a URL for a name', () => ({ servername: 'mqtts://broker' }), 'tls.servername', /host name/],
  ['a protocol for a list', () => ({ alpnProtocols: 'mqtt' }), 'tls.alpnProtocols', /list/],
  ['an empty protocol', () => ({ alpnProtocols: [''] }), 'tls.alpnProtocols', /list/],
  ['an old version', () => ({ minVersion: 'TLSv1' }), 'tls.minVersion', /TLSv1\.2/],
  [
    'versions in the wrong order',
    () => ({ minVersion: 'TLSv1.3', maxVersion: 'TLSv1.2' }),
    'tls.minVersion',
    /at most/,
  ],
  ['unknown ciphers', () => ({ ciphers: 'NONSENSE' }), 'tls', /cipher/],
  ['text for a switch', () => ({ rejectUnauthorized: 'false' }), 'tls.rejectUnauthorized', /true or false/],
  ['an unknown name', () => ({ caPath: 'canary' }), 'tls.caPath', /rejectUnauthorized/],
  ['true', () => true, 'tls', /mqtts:/],
  ['null', () => null, 'tls', /object/],
] satisfies [string, () => unknown, string | RegExp, RegExp][])('%s', (_what, tls, option, expected) => {
  test('is refused by name, with the cure and without its content', () => {
    const named = typeof option === 'string' ? option : (expect.stringMatching(option) as string);
    expect(issuesOf(tls())).toContainEqual({
      option: named,
      value: expect.any(String) as string,
      expected: expect.stringMatching(expected) as string,
    });
  });
});

describe('TLS options without a url that uses TLS', () => {
  test.each([['mqtt://broker'], ['ws://broker/mqtt'], ['unix:/run/broker.sock']])('are refused: %s', (url) => {
    expect(issuesOf({ ca: authority.ca }, url)).toMatchObject([
      { option: 'tls', expected: expect.stringMatching(/mqtts:/) as string },
    ]);
  });

  test('are taken when one of the urls does', () => {
    expect(issuesOf({ ca: authority.ca }, ['mqtt://broker', 'mqtts://broker'])).toEqual([]);
  });
});

test('what was resolved shows neither key nor passphrase', () => {
  const resolved = resolveOptions({
    url: 'mqtts://broker',
    tls: { cert: client.cert, key: encryptedKey, passphrase: PASSPHRASE },
  });
  expect(resolved.tls?.passphrase).toBe(PASSPHRASE);
  for (const text of [inspect(resolved, { depth: Infinity }), JSON.stringify(resolved)])
    expect(text).not.toMatch(/canary|PRIVATE KEY|Buffer/);
});

import { Buffer } from 'node:buffer';
import { isIP } from 'node:net';
import { asBuffer } from './codec/encoder.js';
import { hidden } from './hidden.js';
import type { TlsOptions } from './network/network-options.js';
import type { ResolvedTls, TlsMaterialName } from './network/resolved-tls.js';
import { readMaterialSync, secureContext } from './network/tls-material.js';
import type { OptionChecks } from './option-checks.js';
import type { Server } from './options.js';

const MATERIAL = ['ca', 'cert', 'key', 'pfx', 'crl'] as const;
const LISTS: ReadonlySet<string> = new Set(['ca', 'crl']);
const KNOWN = [
  ...MATERIAL,
  ...MATERIAL.map((name) => `${name}File`),
  'passphrase',
  'alpnProtocols',
  'servername',
  'rejectUnauthorized',
  'minVersion',
  'maxVersion',
  'ciphers',
];
const VERSIONS = ['TLSv1.2', 'TLSv1.3'] as const;

/** Checks the `tls` option down to certificates, keys and files. @internal */
export function resolveTls(
  tls: TlsOptions | undefined,
  servers: readonly Server[],
  checks: OptionChecks,
): ResolvedTls | undefined {
  const isUsed = servers.some(({ scheme }) => scheme === 'mqtts' || scheme === 'wss');
  if (tls !== undefined && (typeof tls !== 'object' || tls === null)) {
    checks.report('tls', typeof tls, 'an object; TLS is asked for with an mqtts: or wss: url');
    return undefined;
  }
  if (tls === undefined && !isUsed) return undefined;
  if (servers.length > 0 && !isUsed) checks.report('tls', '…', 'an mqtts: or wss: url: no other one uses TLS');
  return resolveGivenTls(tls ?? {}, checks);
}

/** What an object of TLS options means. @internal */
export function resolveGivenTls(tls: TlsOptions, checks: OptionChecks): ResolvedTls {
  const before = checks.issues.length;
  checks.unknownKeys('tls.', tls, KNOWN);
  checkPairs(tls, checks);
  const minVersion = checks.oneOf('tls.minVersion', tls.minVersion, VERSIONS, 'TLSv1.2');
  const maxVersion = checks.oneOf('tls.maxVersion', tls.maxVersion, VERSIONS, 'TLSv1.3');
  if (minVersion > maxVersion) checks.report('tls.minVersion', minVersion, `at most tls.maxVersion, ${maxVersion}`);
  const resolved = hidden<ResolvedTls>({
    material: Object.fromEntries(MATERIAL.flatMap((name) => materialOf(tls, name, checks))),
    files: MATERIAL.flatMap((name) => filesOf(tls, name, checks)),
    passphrase: text(tls, 'passphrase', checks),
    alpnProtocols: alpnProtocolsOf(tls, checks),
    servername: servernameOf(tls, checks),
    rejectUnauthorized: checks.boolean('tls.rejectUnauthorized', tls.rejectUnauthorized, true),
    minVersion,
    maxVersion,
    ciphers: text(tls, 'ciphers', checks),
  });
  if (checks.issues.length === before) checkContent(resolved, checks);
  return resolved;
}

function checkPairs(tls: TlsOptions, checks: OptionChecks): void {
  const has = (name: TlsMaterialName): boolean => (tls[name] ?? tls[`${name}File`]) !== undefined;
  for (const name of MATERIAL) {
    if (tls[name] !== undefined && tls[`${name}File`] !== undefined)
      checks.report(`tls.${name}`, '…', `either this or tls.${name}File`);
  }
  if (has('cert') && !has('key')) checks.report('tls.key', undefined, 'the private key of tls.cert');
  if (has('key') && !has('cert')) checks.report('tls.cert', undefined, 'the certificate of tls.key');
  if (has('pfx') && (has('cert') || has('key'))) checks.report('tls.pfx', '…', 'either this or tls.cert and tls.key');
  if (tls.passphrase !== undefined && !has('key') && !has('pfx'))
    checks.report('tls.passphrase', '…', 'a tls.key or tls.pfx that it opens');
}

function materialOf(tls: TlsOptions, name: TlsMaterialName, checks: OptionChecks): [string, Buffer[]][] {
  const value: unknown = tls[name];
  if (value === undefined) return [];
  const pieces: unknown[] = LISTS.has(name) && Array.isArray(value) ? value : [value];
  const isUsable = pieces.every(
    (piece) => piece instanceof Uint8Array || (typeof piece === 'string' && name !== 'pfx'),
  );
  if (pieces.length > 0 && isUsable) {
    const bytes = (pieces as (string | Uint8Array)[]).map((piece) =>
      typeof piece === 'string' ? Buffer.from(piece) : asBuffer(piece),
    );
    return [[name, bytes]];
  }
  const kind = name === 'pfx' ? 'the bytes of a PKCS#12 archive' : 'PEM text or bytes';
  checks.report(`tls.${name}`, '…', LISTS.has(name) ? `${kind}, or a list of them` : kind);
  return [];
}

function filesOf(tls: TlsOptions, name: TlsMaterialName, checks: OptionChecks): ResolvedTls['files'] {
  const option = `tls.${name}File`;
  const value: unknown = tls[`${name}File`];
  if (value === undefined) return [];
  const paths: unknown[] = LISTS.has(name) && Array.isArray(value) ? value : [value];
  const isUsable = paths.every((path) => typeof path === 'string' && path !== '' && !/\0|-----BEGIN/.test(path));
  if (paths.length > 0 && isUsable) return (paths as string[]).map((path) => ({ name, option, path }));
  checks.report(option, '…', LISTS.has(name) ? 'the path of a file, or a list of them' : 'the path of a file');
  return [];
}

function text(tls: TlsOptions, name: 'passphrase' | 'ciphers', checks: OptionChecks): string | undefined {
  const value: unknown = tls[name];
  if (value === undefined || (typeof value === 'string' && value !== '')) return value;
  checks.report(`tls.${name}`, '…', 'text of at least one character');
  return undefined;
}

function alpnProtocolsOf({ alpnProtocols }: TlsOptions, checks: OptionChecks): readonly string[] | undefined {
  if (alpnProtocols === undefined) return undefined;
  const isUsable =
    Array.isArray(alpnProtocols) &&
    alpnProtocols.length > 0 &&
    alpnProtocols.every((name: unknown) => typeof name === 'string' && /^[\x21-\x7e]{1,255}$/.test(name));
  if (!isUsable) checks.report('tls.alpnProtocols', alpnProtocols, 'a list of protocol names, such as ["mqtt"]');
  return isUsable ? [...alpnProtocols] : undefined;
}

function servernameOf({ servername }: TlsOptions, checks: OptionChecks): string | undefined {
  if (servername === undefined) return undefined;
  const isUsable = typeof servername === 'string' && /^[^\s\0:/]{1,255}$/.test(servername) && isIP(servername) === 0;
  if (!isUsable) checks.report('tls.servername', servername, 'a host name: an address has no SNI');
  return servername;
}

function checkContent(tls: ResolvedTls, checks: OptionChecks): void {
  const material = readMaterialSync(tls);
  const outcome = 'problem' in material ? material : secureContext(tls, material);
  if ('problem' in outcome) checks.report(outcome.option, '…', `usable: it ${outcome.problem}`);
}

import { createPrivateKey, X509Certificate, type KeyObject } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { createSecureContext, type SecureContext } from 'node:tls';
import { untilAborted } from '../promises.js';
import type { ResolvedTls, TlsMaterial, TlsMaterialName } from './resolved-tls.js';

/** What makes certificates or keys unusable, without their content. @internal */
export interface TlsProblem {
  readonly option: string;
  /** What is wrong, and what to do. */
  readonly problem: string;
}

/** What the options hold, and what their files hold now; or why they cannot be read. @internal */
export async function readMaterial(tls: ResolvedTls, signal: AbortSignal): Promise<TlsMaterial | TlsProblem> {
  const material: TlsMaterial = { ...tls.material };
  for (const file of tls.files) {
    try {
      const bytes = await untilAborted(readFile(file.path), signal);
      material[file.name] = [...(material[file.name] ?? []), bytes];
    } catch (error) {
      signal.throwIfAborted();
      return unreadable(file, error);
    }
  }
  return material;
}

/** As {@link readMaterial}, at construction. @internal */
export function readMaterialSync(tls: ResolvedTls): TlsMaterial | TlsProblem {
  const material: TlsMaterial = { ...tls.material };
  for (const file of tls.files) {
    try {
      material[file.name] = [...(material[file.name] ?? []), readFileSync(file.path)];
    } catch (error) {
      return unreadable(file, error);
    }
  }
  return material;
}

/** @internal */
export function isSameMaterial(one: TlsMaterial, other: TlsMaterial): boolean {
  return (['ca', 'cert', 'key', 'pfx', 'crl'] as const).every((name) => {
    const [left = [], right = []] = [one[name], other[name]];
    return left.length === right.length && left.every((bytes, index) => bytes.equals(right[index]!));
  });
}

/** Checks what OpenSSL would take without a word, and tells its errors in our options' words. @internal */
export function secureContext(tls: ResolvedTls, material: TlsMaterial): SecureContext | TlsProblem {
  const { minVersion, maxVersion, ciphers, passphrase } = tls;
  const problem = certificatesProblem(tls, material) ?? keyProblem(tls, material);
  if (problem !== undefined) return problem;
  try {
    return createSecureContext({
      ...material,
      ...(passphrase === undefined ? {} : { passphrase }),
      ...(ciphers === undefined ? {} : { ciphers }),
      minVersion,
      maxVersion,
    });
  } catch (error) {
    if (material.pfx !== undefined) return { option: optionOf(tls, 'pfx'), problem: pfxProblem(error as Error) };
    return { option: 'tls', problem: `OpenSSL refuses it: ${(error as Error).message}` };
  }
}

function certificatesProblem(tls: ResolvedTls, material: TlsMaterial): TlsProblem | undefined {
  for (const name of ['ca', 'cert'] as const) {
    for (const pem of material[name] ?? []) {
      if (parseCertificates(pem) === undefined) return { option: optionOf(tls, name), problem: NO_CERTIFICATE };
    }
  }
  return undefined;
}

const NO_CERTIFICATE =
  'is no readable PEM certificate ("-----BEGIN CERTIFICATE-----"); a path belongs into the option that ends in "File"';

/** Every certificate of a PEM text; undefined when there is none or one is damaged. */
function parseCertificates(pem: Buffer): X509Certificate[] | undefined {
  const pieces = pem.toString('latin1').split(/(?=-----BEGIN )/);
  const blocks = pieces.filter((piece) => /^-----BEGIN (TRUSTED |X509 )?CERTIFICATE-----/.test(piece));
  try {
    return blocks.length === 0 ? undefined : blocks.map((block) => new X509Certificate(block));
  } catch {
    return undefined;
  }
}

function keyProblem(tls: ResolvedTls, { key: [pem] = [], cert: [cert] = [] }: TlsMaterial): TlsProblem | undefined {
  if (pem === undefined || cert === undefined) return undefined;
  let key: KeyObject;
  try {
    key = createPrivateKey({ key: pem, ...(tls.passphrase === undefined ? {} : { passphrase: tls.passphrase }) });
  } catch (error) {
    return unreadableKey(tls, pem, error as NodeJS.ErrnoException);
  }
  if (parseCertificates(cert)![0]!.checkPrivateKey(key)) return undefined;
  return {
    option: optionOf(tls, 'key'),
    problem: `does not belong to the certificate in ${optionOf(tls, 'cert')}; its first certificate must be the client's own`,
  };
}

function unreadableKey(tls: ResolvedTls, pem: Buffer, { code = '' }: NodeJS.ErrnoException): TlsProblem {
  const isEncrypted = /-----BEGIN ENCRYPTED |Proc-Type: 4,ENCRYPTED/.test(pem.toString('latin1'));
  if (isEncrypted && tls.passphrase === undefined) {
    return { option: 'tls.passphrase', problem: `is missing, and the key in ${optionOf(tls, 'key')} is encrypted` };
  }
  if (isEncrypted && code !== 'ERR_OSSL_UNSUPPORTED') {
    return { option: 'tls.passphrase', problem: `does not open the key in ${optionOf(tls, 'key')}` };
  }
  return {
    option: optionOf(tls, 'key'),
    problem: `is no readable PEM private key (PKCS#8, PKCS#1 or SEC1)${code === 'ERR_OSSL_UNSUPPORTED' ? ' of a kind that OpenSSL supports' : ''}; a path belongs into keyFile`,
  };
}

function pfxProblem({ message }: Error): string {
  if (/mac verify failure/i.test(message)) return 'cannot be opened with tls.passphrase';
  if (/unsupported/i.test(message)) return 'is encrypted in a way that OpenSSL 3 no longer takes; export it again';
  return 'is no readable PKCS#12 archive';
}

/** The option that a piece of material came from. */
function optionOf({ files }: ResolvedTls, name: TlsMaterialName): string {
  const file = files.find((each) => each.name === name);
  return file === undefined ? `tls.${name}` : `${file.option} (${file.path})`;
}

function unreadable({ option, path }: ResolvedTls['files'][number], error: unknown): TlsProblem {
  return { option, problem: `(${path}) cannot be read: ${(error as NodeJS.ErrnoException).code ?? String(error)}` };
}

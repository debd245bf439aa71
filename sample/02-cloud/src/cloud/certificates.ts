import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface Certificate {
  readonly cert: string;
  readonly key: string;
}

/** An authority, a certificate for the broker, and one for the device: made anew for every run, and never kept. */
export function makeCertificates(deviceId: string): { ca: string; broker: Certificate; device: Certificate } {
  const directory = mkdtempSync(join(tmpdir(), 'cloud-sample-'));
  const path = (name: string): string => join(directory, name);
  const openssl = (...options: string[]): void => {
    execFileSync('openssl', options, { stdio: ['ignore', 'ignore', 'pipe'] });
  };
  const newKey = (name: string): string[] => ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', path(`${name}.key`)]; // prettier-ignore
  const issue = (name: string, commonName: string, extensions: string): Certificate => {
    openssl('req', '-new', ...newKey(name), '-subj', `/CN=${commonName}`, '-out', path(`${name}.csr`));
    writeFileSync(path(`${name}.ext`), extensions);
    openssl('x509', '-req', '-in', path(`${name}.csr`), '-CA', path('ca.crt'), '-CAkey', path('ca.key'), '-CAcreateserial', '-days', '2', '-extfile', path(`${name}.ext`), '-out', path(`${name}.crt`)); // prettier-ignore
    return { cert: readFileSync(path(`${name}.crt`), 'utf8'), key: readFileSync(path(`${name}.key`), 'utf8') };
  };
  try {
    openssl('req', '-x509', '-new', ...newKey('ca'), '-subj', '/CN=Local Cloud Authority', '-days', '2', '-out', path('ca.crt')); // prettier-ignore
    return {
      ca: readFileSync(path('ca.crt'), 'utf8'),
      broker: issue('broker', 'localhost', 'subjectAltName=DNS:localhost,IP:127.0.0.1\nextendedKeyUsage=serverAuth\n'),
      device: issue('device', deviceId, 'extendedKeyUsage=clientAuth\n'),
    };
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

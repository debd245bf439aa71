import type { TlsVersion } from './network-options.js';

/** Certificates, keys and lists, as they go to OpenSSL. @internal */
export type TlsMaterial = Partial<Record<TlsMaterialName, Buffer[]>>;

/** @internal */
export type TlsMaterialName = 'ca' | 'cert' | 'key' | 'pfx' | 'crl';

/** TLS options with defaults filled in; nothing of it shows in `inspect`. @internal */
export interface ResolvedTls {
  readonly material: TlsMaterial;
  /** To be read before every attempt. */
  readonly files: readonly { readonly name: TlsMaterialName; readonly option: string; readonly path: string }[];
  readonly passphrase: string | undefined;
  readonly alpnProtocols: readonly string[] | undefined;
  readonly servername: string | undefined;
  readonly rejectUnauthorized: boolean;
  readonly minVersion: TlsVersion;
  readonly maxVersion: TlsVersion;
  readonly ciphers: string | undefined;
}

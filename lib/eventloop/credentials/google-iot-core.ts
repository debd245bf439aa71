import { OptionChecks } from '../option-checks.js';
import type { CredentialsProvider } from './credentials.js';
import { jwt } from './jwt.js';
import type { JwtKey } from './jwt-key.js';

/** @publicApi */
export interface GoogleIotCoreOptions {
  /** The `aud` of the tokens. */
  readonly projectId: string;
  /** The device's; its public part is registered with the broker. See {@link JwtKey}. */
  readonly privateKey: JwtKey;
  /** Default `RS256`. */
  readonly algorithm?: 'RS256' | 'ES256' | undefined;
  /** Of an encrypted key. */
  readonly passphrase?: string | undefined;
  /** 1 to 86 370: with the 30 seconds that `iat` is dated back, the 24 hours that such brokers allow. Default 3 600. */
  readonly expiresInSeconds?: number | undefined;
}

/** Where a device is registered. @publicApi */
export interface GoogleIotCoreDevice {
  readonly projectId: string;
  /** The region, such as `europe-west1`. */
  readonly location: string;
  readonly registryId: string;
  readonly deviceId: string;
}

const KNOWN = ['projectId', 'privateKey', 'algorithm', 'passphrase', 'expiresInSeconds'] as const;
const BACKDATE_SECONDS = 30;
const MOST_SECONDS = 86_400 - BACKDATE_SECONDS;

/**
 * Credentials for brokers with the login of Google Cloud IoT Core: user name `unused`, password a JWT for the project.
 * The client identifier is {@link googleIotCoreClientId}.
 *
 * @throws MqttOptionsError naming every mistake; never repeats the key
 * @publicApi
 */
export function googleIotCore(options: GoogleIotCoreOptions): CredentialsProvider {
  const checks = new OptionChecks();
  const { projectId, privateKey, algorithm, passphrase, expiresInSeconds } = options ?? {};
  checks.unknownKeys('googleIotCore.', options ?? {}, KNOWN);
  if (typeof projectId !== 'string' || projectId === '')
    checks.report('googleIotCore.projectId', projectId, 'the identifier of the project');
  const seconds = checks.integer('googleIotCore.expiresInSeconds', expiresInSeconds, 1, MOST_SECONDS, 3_600);
  const chosen = checks.oneOf('googleIotCore.algorithm', algorithm, ['RS256', 'ES256'] as const, 'RS256');
  checks.finish();
  return jwt({
    key: privateKey,
    algorithm: chosen,
    passphrase,
    audience: projectId,
    expiresInSeconds: seconds,
    backdateSeconds: BACKDATE_SECONDS,
    username: 'unused',
  });
}

/**
 * The client identifier that brokers with the login of Google Cloud IoT Core ask for.
 *
 * @throws MqttOptionsError when a part is missing or holds a slash
 * @publicApi
 */
export function googleIotCoreClientId(device: GoogleIotCoreDevice): string {
  const checks = new OptionChecks();
  const part = (name: keyof GoogleIotCoreDevice): string => {
    const value: unknown = device?.[name];
    if (typeof value !== 'string' || !/^[^/\s]+$/.test(value))
      checks.report(`googleIotCoreClientId.${name}`, value, 'text without slashes and spaces');
    return String(value);
  };
  const clientId = `projects/${part('projectId')}/locations/${part('location')}/registries/${part('registryId')}/devices/${part('deviceId')}`;
  checks.finish();
  return clientId;
}

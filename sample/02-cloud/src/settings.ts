import { readFileSync } from 'node:fs';

/** How to reach the cloud, and who we are there. */
export interface Settings {
  readonly url: string;
  readonly deviceId: string;
  /** The `aud` of our tokens. */
  readonly projectId: string;
  /** PEM texts: whom we trust, our certificate, and its key. */
  readonly tls: { readonly ca: string | undefined; readonly cert: string; readonly key: string };
  /** PEM of the key that signs our tokens; its public half is registered with the cloud. */
  readonly tokenKey: string;
  readonly tokenSeconds: number;
  /** Where the cloud publishes the keys that it signs commands with. */
  readonly keysUrl: string;
}

/** Those of a cloud that exists; undefined without MQTT_URL. */
export function readSettings(env: NodeJS.ProcessEnv = process.env): Settings | undefined {
  const url = env['MQTT_URL'];
  if (!url) return undefined;
  return {
    url,
    deviceId: required(env, 'DEVICE_ID'),
    projectId: required(env, 'PROJECT_ID'),
    tls: {
      ca: env['CA_FILE'] ? readFileSync(env['CA_FILE'], 'utf8') : undefined,
      cert: readFileSync(required(env, 'CERT_FILE'), 'utf8'),
      key: readFileSync(required(env, 'KEY_FILE'), 'utf8'),
    },
    tokenKey: readFileSync(required(env, 'TOKEN_KEY_FILE'), 'utf8'),
    tokenSeconds: Number(env['TOKEN_SECONDS'] || 3_600),
    keysUrl: required(env, 'KEYS_URL'),
  };
}

function required(env: NodeJS.ProcessEnv, name: string): string {
  const value = env[name];
  if (!value) throw new Error(`MQTT_URL needs ${name} beside it`);
  return value;
}

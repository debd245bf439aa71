/** What the environment chooses. */
export interface Settings {
  /** A broker that runs already; without it the sample starts its own. */
  readonly mqttUrl: string | undefined;
  readonly mqttPort: number;
  readonly httpPort: number;
}

export function readSettings(env: NodeJS.ProcessEnv = process.env): Settings {
  return {
    mqttUrl: env['MQTT_URL'] || undefined,
    mqttPort: Number(env['MQTT_PORT'] || 1883),
    httpPort: Number(env['PORT'] || 3000),
  };
}

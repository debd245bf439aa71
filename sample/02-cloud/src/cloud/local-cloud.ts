import { generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import { createServer as createHttpServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createServer as createTlsServer, type TLSSocket } from 'node:tls';
import { Logger } from '@nestjs/common';
import { Aedes, type AuthenticateHandler, type Client } from 'aedes';
import { exportJWK, jwtVerify, SignJWT } from 'jose';
import { SequenceCheck } from '../sequence-check.js';
import type { Settings } from '../settings.js';
import { makeCertificates } from './certificates.js';
import { PublishQuota } from './publish-quota.js';

const DEVICE_ID = 'plant-7';
const PROJECT_ID = 'local-project';
const TOKEN_SECONDS = 20;
const COMMAND_INTERVAL_MS = 250;
const NOT_AUTHORIZED = 5;

/**
 * What a managed broker checks, in this process: a client certificate of its own authority, a token for this project that is
 * signed by the device's registered key, both for the client identifier that connects, and a publish rate. Connections end with
 * their token. It sends signed commands to the device, and knows whether a reading or a command is missing.
 */
export class LocalCloud {
  readonly readings = new SequenceCheck();
  commands = 0;
  accepted = 0;
  refused = 0;
  overQuota = 0;
  expired = 0;
  readonly settings: Settings;
  private readonly logger = new Logger('Cloud');
  private commandTimer: NodeJS.Timeout | undefined;

  private constructor(
    private readonly aedes: Aedes,
    private readonly servers: readonly { close(): unknown }[],
    settings: Settings,
    private readonly signCommand: (sequence: number) => Promise<string>,
  ) {
    this.settings = settings;
  }

  static async start(): Promise<LocalCloud> {
    const certificates = makeCertificates(DEVICE_ID);
    const ofDevice = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const ofCloud = generateKeyPairSync('ed25519');

    const aedes = await Aedes.createBroker();
    const tls = createTlsServer(
      { ...certificates.broker, ca: certificates.ca, requestCert: true, rejectUnauthorized: true },
      (socket) => aedes.handle(socket),
    );
    const keySet = JSON.stringify({ keys: [{ ...(await exportJWK(ofCloud.publicKey)), kid: 'cloud', alg: 'EdDSA' }] });
    const http = createHttpServer((_request, response) =>
      response.setHeader('content-type', 'application/json').end(keySet),
    );
    for (const server of [tls, http]) {
      server.listen(0, '127.0.0.1');
      await once(server, 'listening');
    }
    const [mqttPort, httpPort] = [tls, http].map((server) => (server.address() as AddressInfo).port);

    const cloud = new LocalCloud(
      aedes,
      [tls, http],
      {
        url: `mqtts://localhost:${mqttPort}`,
        deviceId: DEVICE_ID,
        projectId: PROJECT_ID,
        tls: { ca: certificates.ca, ...certificates.device },
        tokenKey: ofDevice.privateKey.export({ format: 'pem', type: 'sec1' }).toString(),
        tokenSeconds: TOKEN_SECONDS,
        keysUrl: `http://127.0.0.1:${httpPort}/keys`,
      },
      (sequence) =>
        new SignJWT({ sequence })
          .setProtectedHeader({ alg: 'EdDSA', kid: 'cloud' })
          .setIssuer('local-cloud')
          .setAudience(DEVICE_ID)
          .setExpirationTime('1h')
          .sign(ofCloud.privateKey),
    );
    cloud.guard(async (client, token) => {
      const { subject } = (client.conn as TLSSocket).getPeerCertificate();
      if (subject.CN !== client.id) throw new Error('the certificate is of another device');
      const options = { algorithms: ['ES256'], audience: PROJECT_ID, subject: client.id };
      const { payload } = await jwtVerify(token, ofDevice.publicKey, options);
      return payload.exp! * 1_000;
    });
    return cloud;
  }

  /** @param check says until when the client may stay, or throws */
  private guard(check: (client: Client, token: Uint8Array) => Promise<number>): void {
    const quotas = new WeakMap<Client, PublishQuota>();
    const authenticate: AuthenticateHandler = (client, _username, password, done) => {
      check(client, password ?? Buffer.alloc(0)).then(
        (untilMs) => {
          this.accepted++;
          quotas.set(client, new PublishQuota());
          const timer = setTimeout(() => {
            if (client.closed) return;
            this.expired++;
            client.close();
          }, untilMs - Date.now());
          client.conn.once('close', () => clearTimeout(timer));
          done(null, true);
        },
        (error: Error) => {
          this.refused++;
          this.logger.warn(`refused ${client.id}: ${error.message}`);
          done(Object.assign(error, { returnCode: NOT_AUTHORIZED }), false);
        },
      );
    };
    this.aedes.authenticate = authenticate;
    this.aedes.authorizePublish = (client, _packet, done) => {
      if (client === null || quotas.get(client)?.take() !== false) return done(null);
      this.overQuota++;
      done(new Error('over the quota'));
    };
    this.aedes.subscribe(
      'devices/+/readings',
      (packet, done) => {
        this.readings.add((JSON.parse(packet.payload.toString()) as { readonly sequence: number }).sequence);
        done();
      },
      () => this.sendCommands(),
    );
  }

  private sendCommands(): void {
    this.commandTimer = setInterval(() => {
      // The broker must know the device's session before it can keep anything for it.
      if (this.accepted > 0) void this.sendCommand(++this.commands);
    }, COMMAND_INTERVAL_MS);
  }

  private async sendCommand(sequence: number): Promise<void> {
    const payload = JSON.stringify({ sequence, token: await this.signCommand(sequence) });
    const topic = `devices/${DEVICE_ID}/commands`;
    this.aedes.publish({ cmd: 'publish', topic, payload, qos: 1, dup: false, retain: false }, () => undefined);
  }

  /** No further commands; those that were sent still arrive. */
  stopCommands(): void {
    clearInterval(this.commandTimer);
  }

  async stop(): Promise<void> {
    this.stopCommands();
    await new Promise<void>((resolve) => this.aedes.close(resolve));
    for (const server of this.servers) server.close();
  }
}
